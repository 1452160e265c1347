/** A NATS server for tests: on a free port of the loopback interface, with JetStream in a folder of its own. */
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isInstalled, ServerProcess } from "./serverProcess.js"

/** Also another version, for example. */
const binary = process.env["NATS_SERVER"] ?? "nats-server"

/** Whether there is a NATS server on this machine. Tests that need one are skipped otherwise. */
export const hasNats = isInstalled(binary)

export class NatsServer {
  readonly store: string
  private readonly folder = mkdtempSync(join(tmpdir(), "topics-nats-"))
  private readonly process = new ServerProcess()
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

  /** Ends the process as a crash does, and starts another one without its data. */
  restartEmpty(): Promise<void> {
    return this.restart(() => rmSync(this.store, { recursive: true, force: true }))
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.process.signal(name)
  }

  async kill(): Promise<void> {
    const { admin } = this
    this.admin = undefined
    await admin?.close()
    await this.process.kill()
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private async run(): Promise<void> {
    const address = ["--addr", "127.0.0.1", "--port", String(this.port)]
    const output = await this.process.start(binary, [...address, ...this.options], "Server is ready")
    const port = /client connections on [\d.]+:(\d+)/.exec(output)?.[1]
    if (port !== undefined) this.port = Number(port)
  }
}
