/** The engines of brokers, as a run starts, kills and pauses them. A node has the layer of each in `programs/brokers.ts`. */
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

/** A Redis server on the loopback interface. If it is persistent, it appends all that it does to a file. */
export const redis = async (isPersistent: boolean): Promise<Engine> => {
  const folder = mkdtempSync(join(tmpdir(), "topics-faults-"))
  const port = await freePort()
  let child: ChildProcess | undefined
  const command = async (...args: ReadonlyArray<string>): Promise<void> => {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } })
    client.on("error", () => {})
    // It may be killed or paused meanwhile.
    const done = client.connect().then(() => client.sendCommand(args))
    const late = new Promise((resolve) => setTimeout(resolve, 300))
    await Promise.race([done.catch(() => {}), late])
    if (client.isOpen) client.destroy()
  }
  const start = async (): Promise<void> => {
    const options = ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""]
    // Without `fsync`, a write reaches the file before its reply is sent. A crash of the machine is no fault of the run.
    const appending = ["--appendonly", isPersistent ? "yes" : "no", "--appendfsync", "no"]
    const server = spawn("redis-server", [...options, ...appending], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    child = server
    let output = ""
    await new Promise<void>((resolve, reject) => {
      server.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes("eady to accept connections")) resolve()
      })
      server.once("error", reject)
      server.once("exit", () => reject(new Error(`redis-server does not start:\n${output}`)))
    })
  }
  const kill = async (): Promise<void> => {
    if (child === undefined) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    child = undefined
    await exited
  }
  await start()
  return {
    port,
    isPersistent,
    start,
    kill,
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    extras: {
      "forget scripts": () => command("SCRIPT", "FLUSH"),
      "end subscriptions": () => command("CLIENT", "KILL", "TYPE", "pubsub"),
      ...(isPersistent ? {} : { flush: () => command("FLUSHALL") })
    },
    stop: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
