// Node's `ws`, the frame built once and written to every socket: `node ws.js PORT`.
const { Sender, WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const options = { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true };
  const frame = Buffer.concat(Sender.frame(Buffer.from(line), options));
  for (const client of server.clients) client._socket.write(frame);
});
