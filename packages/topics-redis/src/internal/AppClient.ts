import { bytesOnly, isReply, ScriptRunner } from "./ScriptRunner.js"
import type { Client } from "./settings.js"

/** The client of the app. The app connects it, and says what happens when its connection breaks. */
export class AppClient extends ScriptRunner {
  private readonly client: Client
  private readonly timeout: number
  private readonly onReadOnly: (cause: unknown) => void
  private hasEnded = false

  /** `onReadOnly` is called if the server has become a replica. */
  constructor(client: Client, timeout: number, onReadOnly: (cause: unknown) => void) {
    super()
    this.client = client
    this.timeout = timeout
    this.onReadOnly = onReadOnly
  }

  command(args: ReadonlyArray<string | Buffer>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.hasEnded) {
        reject(new Error("The broker has ended"))
        return
      }
      const { timeout } = this
      const timer = setTimeout(() => reject(new Error(`Redis did not answer within ${timeout} ms`)), timeout)
      const succeed = (reply: unknown): void => {
        clearTimeout(timer)
        resolve(reply)
      }
      const fail = (cause: unknown): void => {
        clearTimeout(timer)
        reject(cause)
        if (isReply(cause, "READONLY")) this.onReadOnly(cause)
      }
      // The client drops a command that it could not send in this time.
      this.client.sendCommand(args, { ...bytesOnly, timeout }).then(succeed, fail)
    })
  }

  end(): void {
    this.hasEnded = true
  }
}
