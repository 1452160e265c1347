import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createServer, type AddressInfo } from "node:net"

/** Whether a server can be started on this machine. Says so if not. */
export const isInstalled = (command: string): boolean => {
  const isThere = spawnSync(command, ["--version"]).status === 0
  if (!isThere) console.log(`There is no ${command} on this machine: the tests over it are skipped`)
  return isThere
}

/** A port of the loopback interface that nobody has. It may be taken before a server has it. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

/** A process that serves, once its output has a certain text. It can be killed, paused, and started again. */
export class ServerProcess {
  private child: ChildProcess | undefined = undefined

  /** Returns the output up to `sign`. Fails if the process ends before. */
  async start(command: string, args: ReadonlyArray<string>, sign: string): Promise<string> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    this.child = child
    let output = ""
    return new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          output += chunk.toString()
          if (output.includes(sign)) resolve(output)
        })
      }
      child.once("error", reject)
      child.once("exit", () => reject(new Error(`${command} does not start:\n${output}`)))
    })
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(name)
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    const { child } = this
    this.child = undefined
    // One that could not start, or has ended by itself.
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }
}
