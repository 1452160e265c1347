/** Reverse proxies, as their manuals set them up for WebSockets. */
import { Effect, Schedule, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "./Process.js"

/** A port that nobody listens on, for programs that cannot choose one themselves. */
export const freePort: Effect.Effect<number, Error> = Effect.async((resume) => {
  const server = createServer()
  server.on("error", (error) => resume(Effect.fail(error)))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() =>
      resume(
        address === null || typeof address === "string"
          ? Effect.fail(new Error("no address"))
          : Effect.succeed(address.port)
      )
    )
  })
})

/** Waits until something listens. */
export const listening = (port: number): Effect.Effect<void, Error> =>
  Effect.async<void, Error>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.on("error", (error) => resume(Effect.fail(error)))
  }).pipe(Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "interop-proxy-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

type StartProxy = (upstream: number) => Effect.Effect<number, Error, Scope.Scope>

export const nginx =
  (program: string): StartProxy =>
  (upstream) =>
    Effect.gen(function* () {
      const path = yield* folder
      const port = yield* freePort
      writeFileSync(
        join(path, "nginx.conf"),
        `daemon off;
master_process off;
pid ${path}/pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${path}/body;
  proxy_temp_path ${path}/proxy;
  fastcgi_temp_path ${path}/fastcgi;
  uwsgi_temp_path ${path}/uwsgi;
  scgi_temp_path ${path}/scgi;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
    }
  }
}
`
      )
      yield* start(program, ["-p", path, "-c", join(path, "nginx.conf")])
      yield* listening(port)
      return port
    })

export const haproxy =
  (program: string): StartProxy =>
  (upstream) =>
    Effect.gen(function* () {
      const path = yield* folder
      const port = yield* freePort
      writeFileSync(
        join(path, "haproxy.cfg"),
        `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server ours 127.0.0.1:${upstream}
`
      )
      yield* start(program, ["-db", "-f", join(path, "haproxy.cfg")])
      yield* listening(port)
      return port
    })
