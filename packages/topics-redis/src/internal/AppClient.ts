import { bytesOnly, isReply, ScriptRunner } from "./ScriptRunner.js"
import type { Client } from "./settings.js"
import { withDeadline } from "./withDeadline.js"

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
    const { timeout } = this
    return withDeadline<unknown>(timeout, ({ fail, succeed }) => {
      if (this.hasEnded) {
        fail(new Error("The broker has ended"))
        return
      }
      // The client drops a command that it could not send in this time.
      this.client.sendCommand(args, { ...bytesOnly, timeout }).then(succeed, (cause: unknown) => {
        fail(cause)
        if (isReply(cause, "READONLY")) this.onReadOnly(cause)
      })
    })
  }

  end(): void {
    this.hasEnded = true
  }
}
