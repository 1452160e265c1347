import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { programFile, type ProgramName } from "./bundle.js"
import type { Command, Settings, Told } from "./programs/protocol.js"

/** A program in a process of its own, which can be killed, paused and started again. */
export class Program {
  readonly name: string
  private readonly kind: ProgramName
  private readonly settings: () => Settings
  private readonly onTold: (told: Told) => void
  private child: ChildProcess | undefined = undefined
  /** It obeys. Before that, and after it was killed, commands are lost. */
  isReady = false
  /** The port of a server that runs. */
  port: number | undefined = undefined

  constructor(name: string, kind: ProgramName, settings: () => Settings, onTold: (told: Told) => void) {
    this.name = name
    this.kind = kind
    this.settings = settings
    this.onTold = onTold
  }

  async start(): Promise<void> {
    const child = fork(programFile(this.kind), [JSON.stringify(this.settings())], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // Not the loader of this process.
      execArgv: []
    })
    this.child = child
    const output: Array<string> = []
    const collect = (chunk: Buffer): void => void output.push(chunk.toString())
    child.stdout?.on("data", collect)
    child.stderr?.on("data", collect)
    child.once("exit", (code) => {
      // Whatever ends by itself has crashed.
      if (this.child !== child) return
      this.child = undefined
      this.isReady = false
      this.onTold({ tell: "crashed", output: `exit code ${code}\n${output.join("")}` })
    })
    this.port = await new Promise<number | undefined>((resolve) => {
      child.on("message", (told: Told) => {
        // A process that was killed may have told something that arrives only now.
        if (this.child !== child) return
        if (told.tell === "ready") resolve(told.port)
        else this.onTold(told)
      })
      child.once("exit", () => resolve(undefined))
    })
    this.isReady = this.child === child
  }

  command(command: Command): void {
    // It may end meanwhile.
    if (this.isReady) this.child?.send(command, () => {})
  }

  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined) return
    this.child = undefined
    this.isReady = false
    this.port = undefined
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }

  pause(): void {
    this.child?.kill("SIGSTOP")
  }

  resume(): void {
    this.child?.kill("SIGCONT")
  }
}
