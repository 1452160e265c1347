/** A Redis server for tests: on a free port of the loopback interface, with a folder of its own, without persistence. */
import { createClient } from "@redis/client"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const binary = "redis-server"

/** Whether there is a Redis on this machine. Tests that need one are skipped otherwise. */
export const hasRedis = spawnSync(binary, ["--version"]).status === 0
if (!hasRedis) console.log(`There is no ${binary} on this machine: the tests over Redis are skipped`)

const makeAdmin = (port: number) =>
  createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } })

export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), "topics-redis-"))
  private readonly options: ReadonlyArray<string>
  private child: ChildProcess | undefined = undefined
  private client: ReturnType<typeof makeAdmin> | undefined = undefined
  port = 0

  private constructor(options: ReadonlyArray<string>) {
    this.options = options
  }

  static async start(...options: ReadonlyArray<string>): Promise<RedisServer> {
    const server = new RedisServer(options)
    await server.run()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
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

  /** Ends the process as a crash does, and starts another one without its data. */
  async restart(): Promise<void> {
    await this.kill()
    await this.run()
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(name)
  }

  async kill(): Promise<void> {
    const { child } = this
    this.disconnect()
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

  private disconnect(): void {
    if (this.client?.isOpen === true) this.client.destroy()
    this.client = undefined
  }

  /** The port may be taken before the server has it. */
  private async run(): Promise<void> {
    for (let attempts = 0; attempts < 5; attempts++) {
      if (this.port === 0) this.port = await freePort()
      if (await this.spawn()) return
      this.port = 0
    }
    throw new Error(`${binary} does not start`)
  }

  private spawn(): Promise<boolean> {
    const options = ["--bind", "127.0.0.1", "--port", String(this.port), "--save", "", "--appendonly", "no"]
    const rest = ["--dir", this.folder, "--repl-diskless-sync-delay", "0"]
    const child = spawn(binary, [...options, ...rest, ...this.options], { stdio: ["ignore", "pipe", "ignore"] })
    this.child = child
    return new Promise((resolve) => {
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes("eady to accept connections")) resolve(true)
      })
      child.once("error", () => resolve(false))
      child.once("exit", () => resolve(false))
    })
  }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

/** An address that leads to another server after a failover. */
export class Proxy {
  private readonly sockets = new Set<Socket>()
  private readonly server: Server
  private target: number

  private constructor(target: number) {
    this.target = target
    this.server = createServer((socket) => {
      const upstream = connect(this.target, "127.0.0.1")
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
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Ends all connections. Later ones go to this port. */
  switchTo(target: number): void {
    this.target = target
    for (const socket of this.sockets) socket.destroy()
  }

  stop(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
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
