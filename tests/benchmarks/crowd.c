/* A crowd of WebSockets in one thread, as cheap as can be: `crowd PORT SOCKETS REQUEST HELLO`.

   Every socket sends the bytes of the file REQUEST, reads the head of the answer, and sends those of the file HELLO.
   A text frame belongs to the broadcast whose number it bears as `@NUMBER@`; a compressed one to the socket's next.
   Prints "ready", then for each broadcast that has reached every socket a line: its number, when the last socket had it
   (ns of CLOCK_MONOTONIC), and how many text frames and bytes all sockets have got so far. Answers pings. Ends at EOF. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, BROADCASTS = 1 << 16, EVENTS = 512, TEXT = 1, PING = 9, COMPRESSED = 0x40 };

struct member { int fd; size_t kept; unsigned char *rest; unsigned long seen; };
struct bytes { char *at; size_t length; };

static unsigned char buffer[BUFFER];
static unsigned reached[BROADCASTS];
static unsigned long members, frames, received;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct bytes all = {malloc(BUFFER), 0};
    if (!file || !all.at) fail(path);
    all.length = fread(all.at, 1, BUFFER, file);
    fclose(file);
    return all;
}

static void send_all(int fd, const void *data, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t sent = send(fd, (const char *)data + done, length - done, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        done += sent;
    }
}

static unsigned long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* The highest number between two @ in a text; 0: there is none. */
static unsigned long number_in(const unsigned char *text, size_t length) {
    unsigned long highest = 0;
    const unsigned char *end = text + length;
    for (const unsigned char *at = text; (at = memchr(at, '@', end - at)); ) {
        unsigned long number = 0;
        for (at++; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + (*at - '0');
        if (at < end && *at == '@' && number > highest) highest = number;
    }
    return highest;
}

static void take_text(struct member *member, int head, const unsigned char *payload, size_t length) {
    unsigned long number = head & COMPRESSED ? member->seen + 1 : number_in(payload, length);
    frames++;
    if (number <= member->seen || number >= BROADCASTS) return;
    member->seen = number;
    if (++reached[number] == members) {
        printf("%lu %llu %lu %lu\n", number, now_ns(), frames, received);
        fflush(stdout);
    }
}

static void answer_ping(struct member *member, const unsigned char *payload, size_t length) {
    unsigned char pong[131] = {0x8a, 0x80 | length}; /* a mask of zeros leaves the payload as it is */
    memcpy(pong + 6, payload, length);
    send_all(member->fd, pong, 6 + length);
}

/* Takes the whole frames at the start of the data; returns how many bytes they were. */
static size_t take_frames(struct member *member, const unsigned char *data, size_t length) {
    size_t done = 0;
    while (length - done >= 2) {
        const unsigned char *frame = data + done;
        size_t head = 2, payload = frame[1] & 127;
        if (payload == 126) head = 4;
        if (payload == 127) head = 10;
        if (length - done < head) break;
        if (head > 2) payload = 0;
        for (size_t i = 2; i < head; i++) payload = payload << 8 | frame[i];
        if (length - done < head + payload) break;
        if ((frame[0] & 15) == TEXT) take_text(member, frame[0], frame + head, payload);
        if ((frame[0] & 15) == PING) answer_ping(member, frame + head, payload);
        done += head + payload;
    }
    return done;
}

/* Takes what has come; what follows the last whole frame is kept for the next time. */
static void take(struct member *member, size_t length) {
    size_t done = take_frames(member, buffer, length);
    member->kept = length - done;
    if (!member->kept) return;
    member->rest = realloc(member->rest, member->kept);
    memcpy(member->rest, buffer + done, member->kept);
}

static void hear(struct member *member) {
    if (member->kept) memcpy(buffer, member->rest, member->kept);
    ssize_t got = recv(member->fd, buffer + member->kept, BUFFER - member->kept, 0);
    if (got <= 0) fail("a socket was closed");
    received += got;
    take(member, member->kept + got);
}

static void join(struct member *member, int port, struct bytes request, struct bytes hello) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t length = 0;
    char *end = NULL;
    member->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (member->fd < 0 || connect(member->fd, (struct sockaddr *)&server, sizeof server)) fail("connect");
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    send_all(member->fd, request.at, request.length);
    while (!end) {
        ssize_t got = recv(member->fd, buffer + length, BUFFER - length, 0);
        if (got <= 0) fail("handshake");
        length += got;
        end = memmem(buffer, length, "\r\n\r\n", 4);
    }
    if (memcmp(buffer, "HTTP/1.1 101", 12)) fail("the server refused");
    send_all(member->fd, hello.at, hello.length);
    size_t head = end + 4 - (char *)buffer;
    memmove(buffer, buffer + head, length - head);
    take(member, length - head);
}

int main(int count, char **words) {
    if (count != 5) return 2;
    struct bytes request = read_file(words[3]), hello = read_file(words[4]);
    struct epoll_event events[EVENTS];
    int poll = epoll_create1(0);
    members = atol(words[2]);
    struct member *crowd = calloc(members, sizeof *crowd);
    if (poll < 0 || !crowd) fail("start");
    for (unsigned long i = 0; i < members; i++) {
        join(&crowd[i], atoi(words[1]), request, hello);
        epoll_ctl(poll, EPOLL_CTL_ADD, crowd[i].fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &crowd[i]});
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (!events[i].data.ptr) return 0;
            hear(events[i].data.ptr);
        }
    }
}
