"""The pages and forms for people: each route reads, acts, and answers with HTML."""
