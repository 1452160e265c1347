/** A NATS server for tests: on a free port of the loopback interface, with JetStream in a folder of its own. */
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect as connectTo, createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const binary = "nats-server"

/** Whether there is a NATS server on this machine. Tests that need one are skipped otherwise. */
export const hasNats = spawnSync(binary, ["--version"]).status === 0
if (!hasNats) console.log(`There is no ${binary} on this machine: the tests over NATS are skipped`)

/** The port of an address. */
const portOf = (server: Server): number => (server.address() as AddressInfo).port

export class NatsServer {
  readonly store: string
  private readonly folder = mkdtempSync(join(tmpdir(), "topics-nats-"))
  private child: ChildProcess | undefined = undefined
  private admin: NatsConnection | undefined = undefined
  port = -1

  private readonly options: ReadonlyArray<string>

  private constructor(config: string, jetStream: boolean) {
    this.store = join(this.folder, "store")
    const file = join(this.folder, "server.conf")
    writeFileSync(file, config)
    this.options = ["--config", file, ...(jetStream ? ["--jetstream", "--store_dir", this.store] : [])]
  }

  /** `config` is the text of a configuration file. */
  static async start(config = "", jetStream = true): Promise<NatsServer> {
    const server = new NatsServer(config, jetStream)
    await server.run()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** JetStream, over a connection of its own. */
  async manager(): Promise<JetStreamManager> {
    this.admin ??= await connect({ servers: this.url, reconnect: false })
    return jetstreamManager(this.admin, { checkAPI: false })
  }

  /** The names of all streams. */
  async streams(): Promise<ReadonlyArray<string>> {
    const names: Array<string> = []
    for await (const name of (await this.manager()).streams.names()) names.push(name)
    return names
  }

  /** Ends the process as a crash does, and starts another one, after `meanwhile`. */
  async restart(meanwhile: () => void = () => {}): Promise<void> {
    await this.kill()
    meanwhile()
    await this.run()
  }

  /** Forgets everything. The server must not run. */
  wipe(): void {
    rmSync(this.store, { recursive: true, force: true })
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(name)
  }

  async kill(): Promise<void> {
    const { admin, child } = this
    this.admin = undefined
    await admin?.close()
    if (child === undefined) return
    this.child = undefined
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private run(): Promise<void> {
    const address = ["--addr", "127.0.0.1", "--port", String(this.port)]
    const child = spawn(binary, [...address, ...this.options], { stdio: ["ignore", "ignore", "pipe"] })
    this.child = child
    return new Promise((resolve, reject) => {
      let output = ""
      const fail = (): void => reject(new Error(`${binary} does not start: ${output}`))
      child.stderr.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (!output.includes("Server is ready")) return
        const port = /client connections on [\d.]+:(\d+)/.exec(output)?.[1]
        if (port !== undefined) this.port = Number(port)
        resolve()
      })
      child.once("error", fail)
      child.once("exit", fail)
    })
  }
}

/** An address that leads to a server, until it is cut. */
export class Proxy {
  private readonly sockets = new Set<Socket>()
  private readonly server: Server

  private constructor(target: number) {
    this.server = createServer((socket) => {
      const upstream = connectTo(target, "127.0.0.1")
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket]
      ] as const) {
        this.sockets.add(one)
        one.pipe(other)
        one.on("error", () => {})
        one.on("close", () => {
          this.sockets.delete(one)
          other.destroy()
        })
      }
    })
  }

  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target)
    proxy.server.listen(0, "127.0.0.1")
    await once(proxy.server, "listening")
    return proxy
  }

  get url(): string {
    return `nats://127.0.0.1:${portOf(this.server)}`
  }

  /** How many connections there are. */
  get connectionCount(): number {
    return this.sockets.size / 2
  }

  /** Ends all connections. There may be others later. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  stop(): void {
    this.server.close()
    this.cut()
  }
}
