/** The engines of brokers, as a run starts, kills and pauses them. A node has the layer of each in `programs/brokers.ts`. */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { createClient } from "@redis/client"
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** What a run does with the engine of a broker. */
export interface Engine {
  /** The port that nodes connect to, through a proxy for each. */
  readonly port: number
  /** Whether a restart keeps what was acknowledged. */
  readonly isPersistent: boolean
  /** Starts it, at first, and again after `kill`. */
  readonly start: () => Promise<void>
  /** Ends it as a crash does. */
  readonly kill: () => Promise<void>
  readonly pause: () => void
  readonly resume: () => void
  /** Faults that only this engine has, by their names. */
  readonly extras: Readonly<Record<string, () => Promise<void>>>
  /** Ends it for good. */
  readonly stop: () => Promise<void>
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

/** A process that serves, once its output has a certain text. */
class Server {
  private child: ChildProcess | undefined = undefined

  async start(command: string, args: ReadonlyArray<string>, sign: string): Promise<void> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    this.child = child
    let output = ""
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          output += chunk.toString()
          if (output.includes(sign)) resolve()
        })
      }
      child.once("error", reject)
      child.once("exit", () => reject(new Error(`${command} does not start:\n${output}`)))
    })
  }

  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    this.child = undefined
    await exited
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(name)
  }
}

const lateMillis = 300

/** Waits for what is asked of a server. It may be killed or paused meanwhile. */
const unlessLate = async (done: Promise<unknown>): Promise<void> => {
  const late = new Promise((resolve) => setTimeout(resolve, lateMillis))
  await Promise.race([done.catch(() => {}), late])
}

/** A Redis server on the loopback interface. If it is persistent, it appends all that it does to a file. */
export const redis = async (isPersistent: boolean): Promise<Engine> => {
  const folder = mkdtempSync(join(tmpdir(), "topics-faults-"))
  const port = await freePort()
  const server = new Server()
  const command = async (...args: ReadonlyArray<string>): Promise<void> => {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } })
    client.on("error", () => {})
    await unlessLate(client.connect().then(() => client.sendCommand(args)))
    if (client.isOpen) client.destroy()
  }
  const start = (): Promise<void> => {
    const options = ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""]
    // Without `fsync`, a write reaches the file before its reply is sent. A crash of the machine is no fault of the run.
    const appending = ["--appendonly", isPersistent ? "yes" : "no", "--appendfsync", "no"]
    return server.start("redis-server", [...options, ...appending], "eady to accept connections")
  }
  await start()
  return {
    port,
    isPersistent,
    start,
    kill: () => server.kill(),
    pause: () => server.signal("SIGSTOP"),
    resume: () => server.signal("SIGCONT"),
    extras: {
      "forget scripts": () => command("SCRIPT", "FLUSH"),
      "end subscriptions": () => command("CLIENT", "KILL", "TYPE", "pubsub"),
      ...(isPersistent ? {} : { flush: () => command("FLUSHALL") })
    },
    stop: async () => {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** A NATS server with JetStream on the loopback interface. If it is not persistent, its streams end with it. */
export const nats = async (isPersistent: boolean): Promise<Engine> => {
  const folder = mkdtempSync(join(tmpdir(), "topics-faults-"))
  const port = await freePort()
  const server = new Server()
  const forget = (): void => rmSync(folder, { recursive: true, force: true })
  const options = ["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder]
  const start = (): Promise<void> => server.start("nats-server", options, "Server is ready")
  await start()
  /** Behind the back of all nodes. */
  const deleteStreams = async (): Promise<void> => {
    const connection = await connect({ port, reconnect: false, timeout: lateMillis })
    try {
      const { streams } = await jetstreamManager(connection, { checkAPI: false, timeout: lateMillis })
      const names: Array<string> = []
      for await (const name of streams.names()) names.push(name)
      await Promise.all(names.map((name) => streams.delete(name)))
    } finally {
      await connection.close()
    }
  }
  return {
    port,
    isPersistent,
    start,
    kill: async () => {
      await server.kill()
      if (!isPersistent) forget()
    },
    pause: () => server.signal("SIGSTOP"),
    resume: () => server.signal("SIGCONT"),
    extras: isPersistent ? {} : { "delete streams": () => unlessLate(deleteStreams()) },
    stop: async () => {
      await server.kill()
      forget()
    }
  }
}
