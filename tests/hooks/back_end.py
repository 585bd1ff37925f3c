# Lets publish who knows the token, and everybody play. Stands behind on_publish, on_play and on_publish_done.
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class BackEnd(BaseHTTPRequestHandler):
    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        said = {name: values[0] for name, values in form.items()}
        may = said["call"] != "publish" or said.get("token") == "s3cret"
        print(said["call"], said["app"], said.get("name", "-"), "yes" if may else "no", flush=True)
        self.send_response(200 if may else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), BackEnd)
print("port", server.server_port, flush=True)
server.serve_forever()
