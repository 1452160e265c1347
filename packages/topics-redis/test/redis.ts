/** A Redis server for tests: on a free port of the loopback interface, with a folder of its own, without persistence. */
import { createClient } from "@redis/client"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort, isInstalled, ServerProcess } from "./serverProcess.js"

/** Also `valkey-server`, for example. */
const binary = process.env["REDIS_SERVER"] ?? "redis-server"

/** Whether there is a Redis on this machine. Tests that need one are skipped otherwise. */
export const hasRedis = isInstalled(binary)

const makeAdmin = (port: number) =>
  createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } })

export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), "topics-redis-"))
  private readonly process = new ServerProcess()
  private client: ReturnType<typeof makeAdmin> | undefined = undefined
  port = 0
  /** The port for connections over TLS; 0 if there is none. */
  tlsPort = 0

  private readonly more: ReadonlyArray<string>

  private constructor(more: ReadonlyArray<string> = []) {
    this.more = more
  }

  static async start(...options: ReadonlyArray<string>): Promise<RedisServer> {
    const server = new RedisServer(options)
    await server.run()
    return server
  }

  /** A server that takes connections over TLS, too. `undefined` if it is built without it, or there is no `openssl`. */
  static async startTls(): Promise<RedisServer | undefined> {
    const server = new RedisServer()
    try {
      server.makeCertificate()
      server.tlsPort = await freePort()
      await server.run()
      return server
    } catch {
      await server.stop()
      return undefined
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** The certificate that clients trust, over TLS. */
  get certificate(): string {
    return join(this.folder, "certificate.pem")
  }

  /** Runs a command on a connection of its own. */
  async command(...args: ReadonlyArray<string>): Promise<unknown> {
    if (this.client === undefined) {
      const client = makeAdmin(this.port)
      client.on("error", () => {})
      await client.connect()
      this.client = client
    }
    return this.client.sendCommand(args)
  }

  /** Ends the process as a crash does, and starts another one, with what is on its disk. */
  async restart(): Promise<void> {
    await this.kill()
    await this.run()
  }

  /** Ends the process as a crash does, and starts another one. By default, nothing is on its disk. */
  async restartEmpty(): Promise<void> {
    await this.restart()
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.process.signal(name)
  }

  async kill(): Promise<void> {
    if (this.client?.isOpen === true) this.client.destroy()
    this.client = undefined
    await this.process.kill()
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private get keyFile(): string {
    return join(this.folder, "key.pem")
  }

  private makeCertificate(): void {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", this.keyFile]
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    execFileSync("openssl", ["req", "-x509", ...key, ...subject, "-out", this.certificate], { stdio: "ignore" })
  }

  /** The port may be taken before the server has it. */
  private async run(): Promise<void> {
    for (let attempts = 0; ; attempts++) {
      if (this.port === 0) this.port = await freePort()
      try {
        await this.process.start(binary, this.options, "eady to accept connections")
        return
      } catch (cause) {
        if (attempts === 4) throw cause
        this.port = 0
      }
    }
  }

  private get options(): ReadonlyArray<string> {
    const plain = ["--bind", "127.0.0.1", "--port", String(this.port), "--save", "", "--appendonly", "no"]
    const files = ["--tls-cert-file", this.certificate, "--tls-key-file", this.keyFile, "--tls-auth-clients", "no"]
    const tls = this.tlsPort === 0 ? [] : ["--tls-port", String(this.tlsPort), ...files]
    return [...plain, "--dir", this.folder, "--repl-diskless-sync-delay", "0", ...tls, ...this.more]
  }
}

/** A server that replies to each command with the same error. */
export class RefusingServer {
  private readonly sockets = new Set<Socket>()
  private readonly server: Server

  private constructor(refusal: string) {
    this.server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on("error", () => {})
      // Each command is an array.
      socket.on("data", (chunk: Buffer) => {
        for (const _ of chunk.toString().matchAll(/^\*\d+\r\n/gm)) socket.write(`-${refusal}\r\n`)
      })
    })
  }

  static async start(refusal: string): Promise<RefusingServer> {
    const refusing = new RefusingServer(refusal)
    refusing.server.listen(0, "127.0.0.1")
    await once(refusing.server, "listening")
    return refusing
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}
