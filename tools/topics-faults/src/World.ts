/** The processes and links of a run. */
import { bundle } from "./bundle.js"
import type { Engine } from "./brokers.js"
import { Program } from "./Program.js"
import type { Settings, Told } from "./programs/protocol.js"
import { Proxy } from "./Proxy.js"

/** A program, and its link to what it depends on. */
export interface Member {
  readonly program: Program
  /** The link of a client to the nodes, and of a node to the engine. `undefined` if it needs none. */
  readonly link: Proxy | undefined
}

export class World {
  readonly engine: Engine | undefined
  readonly nodes: ReadonlyArray<Member>
  readonly clients: ReadonlyArray<Member>

  private constructor(engine: Engine | undefined, nodes: ReadonlyArray<Member>, clients: ReadonlyArray<Member>) {
    this.engine = engine
    this.nodes = nodes
    this.clients = clients
  }

  static async start(
    broker: Settings["broker"],
    engine: Engine | undefined,
    counts: { readonly nodes: number; readonly clients: number },
    onTold: (program: string, told: Told) => void
  ): Promise<World> {
    await bundle()
    const make = async (name: string, kind: "node" | "client", target: (() => number | undefined) | undefined) => {
      const link = target === undefined ? undefined : await Proxy.start(target)
      const settings = (): Settings => ({ broker, port: link?.port ?? 0 })
      return { program: new Program(name, kind, settings, (told) => onTold(name, told)), link }
    }
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
    const nodes = await Promise.all(
      numbers(counts.nodes).map((number) => make(`node${number}`, "node", engine && (() => engine.port)))
    )
    // Each connection goes to the next node that runs.
    let next = 0
    const nodePort = (): number | undefined => {
      const ports = nodes.map(({ program }) => program.port).filter((port) => port !== undefined)
      return ports[next++ % ports.length]
    }
    const clients = await Promise.all(
      numbers(counts.clients).map((number) => make(`client${number}`, "client", nodePort))
    )
    const world = new World(engine, nodes, clients)
    process.once("exit", () => world.abandon())
    await Promise.all(world.members.map(({ program }) => program.start()))
    return world
  }

  get members(): ReadonlyArray<Member> {
    return [...this.nodes, ...this.clients]
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ program }) => program.kill()))
    for (const { link } of this.members) link?.stop()
    await this.engine?.stop()
  }

  /** Nothing may be left, not even what is paused. */
  private abandon(): void {
    for (const { program } of this.members) void program.kill()
    void this.engine?.kill()
  }
}
