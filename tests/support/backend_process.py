"""A small backend that reads provider flags when it starts, as the real one does, and shows them.

``python -m tests.support.backend_process serve ENV PORT`` serves; ``... restart ENV PORT PID_FILE`` ends the one whose
process id stands in the file and starts another, as a restart command of a real deployment would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHECKOUT = "/api/payment/request-network/intents"


def serve(env: Path, port: int) -> None:
    from dotenv import dotenv_values

    flags = {key: value or "" for key, value in dotenv_values(env).items()}
    rails = [word.strip() for word in flags.get("PAYMENT_ENABLED_PROVIDERS", "").split(",")]
    has_network = flags.get("REQUEST_NETWORK_ENABLED") == "true" and "request.network" in rails

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.answer(200, {"status": "ok"})
            elif self.path == "/config":
                shown = {key: value for key, value in flags.items() if key.startswith(("PAYMENT_", "REQUEST_NETWORK_"))}
                self.answer(200, {"flags": shown})
            elif self.path == CHECKOUT and has_network:
                self.answer(405, {"message": "POST only"})
            else:
                self.answer(404, {"message": "not found"})

        def answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        allow_reuse_address = True

    Server(("127.0.0.1", port), Handler).serve_forever()


def restart(env: Path, port: int, pid_file: Path) -> None:
    stop(pid_file)
    command = [sys.executable, "-m", "tests.support.backend_process", "serve", str(env), str(port)]
    silent: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    started = subprocess.Popen(command, cwd=Path(__file__).parents[2], start_new_session=True, **silent)
    pid_file.write_text(str(started.pid))
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit("the backend did not come up")


def stop(pid_file: Path) -> None:
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    pid_file.unlink()
    for _ in range(200):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return  # ended, and its parent has not looked yet
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    raise SystemExit("the backend did not end")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        restart(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
