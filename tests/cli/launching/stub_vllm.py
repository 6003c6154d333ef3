"""Stands in for `vllm serve`: a server that becomes healthy, says what it is called, and may die.

It runs with the standard library alone. Environment: STUB_LOG, to which it writes a line for what
happens; STUB_DIES, `start:PORT` or `later:PORT`, for the replica that ends with code 7;
STUB_IGNORES, a signal that what it starts does not hear.
"""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UNHEALTHY_ANSWERS = 2


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def log(*words):
    line = json.dumps([words[0], port, *words[1:]]) + "\n"
    with open(os.environ["STUB_LOG"], "a") as file:  # noqa: PTH123 - one write, appended
        file.write(line)


class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        Handler.asked += 1
        if Handler.asked == UNHEALTHY_ANSWERS + 1:
            log("healthy")
        self.answer(503 if Handler.asked <= UNHEALTHY_ANSWERS else 200, {})
        if dies == f"later:{port}" and Handler.asked > UNHEALTHY_ANSWERS:
            os._exit(7)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] != option("--served-model-name"):
            return self.answer(404, {"error": asked["model"]})
        text = f"[{asked['model']}] {asked['messages'][-1]['content']}"
        return self.answer(200, {"choices": [{"message": {"content": text}}]})

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


port = option("--port")
dies = os.environ.get("STUB_DIES")
if dies == f"start:{port}":
    sys.exit(7)
# What a server starts of its own outlives it, unless someone stops them all.
child = subprocess.Popen(
    ["sh", "-c", f"trap '' {os.environ.get('STUB_IGNORES', 'USR1')}; sleep 600"]
)
log("started", os.environ["CUDA_VISIBLE_DEVICES"], os.getpid(), child.pid, *sys.argv[1:])
ThreadingHTTPServer((option("--host"), int(port)), Handler).serve_forever()
