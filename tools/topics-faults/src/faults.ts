/** What may break, and for how long it may be so is drawn elsewhere. */
import type { Draw } from "./Draw.js"
import type { LinkState } from "./Proxy.js"
import type { Member, World } from "./World.js"

/** A fault that begins and ends. */
export interface Fault {
  readonly name: string
  /** What it breaks. Nothing is broken twice at once. */
  readonly subject: string
  /** The program that does not survive it. */
  readonly program?: Member | undefined
  readonly begin: () => Promise<void> | void
  readonly end: () => Promise<void> | void
}

type Maker = (draw: Draw) => Fault

const kill = (member: Member): Maker => {
  const { program } = member
  return () => ({
    name: "killed",
    subject: program.name,
    program: member,
    begin: () => program.kill(),
    end: () => program.start()
  })
}

const pause = ({ program }: Member): Maker => {
  return () => ({
    name: "paused",
    subject: program.name,
    begin: () => program.pause(),
    end: () => program.resume()
  })
}

const states: readonly [LinkState, ...ReadonlyArray<LinkState>] = ["closed", "hole", "holeUp", "holeDown", "slow"]

const breakLink = ({ link, program }: Member): ReadonlyArray<Maker> => {
  if (link === undefined) return []
  const subject = `${program.name}'s link`
  return [
    () => ({ name: "cut", subject, begin: () => link.cut(), end: () => {} }),
    (draw) => {
      const state = draw.of(states)
      return { name: state, subject, begin: () => link.set(state), end: () => link.set("pass") }
    }
  ]
}

const breakEngine = ({ engine }: World): ReadonlyArray<Maker> => {
  if (engine === undefined) return []
  const subject = "engine"
  const extras = Object.entries(engine.extras).map(([name, begin]): Maker => () => ({
    name,
    subject,
    begin,
    end: () => {}
  }))
  return [
    () => ({ name: "killed", subject, begin: engine.kill, end: engine.start }),
    () => ({ name: "paused", subject, begin: engine.pause, end: engine.resume }),
    ...extras
  ]
}

/** Draws first what breaks (a node, a client, a link or the engine), and then how. */
export const drawFault = (world: World, draw: Draw): Fault => {
  const { clients, members, nodes } = world
  const groups = [
    breakEngine(world),
    nodes.flatMap((member) => [kill(member), pause(member)]),
    clients.flatMap((member) => [kill(member), pause(member)]),
    members.flatMap(breakLink),
    members.flatMap(breakLink)
  ].filter((group) => group.length > 0)
  const [first = [], ...rest] = groups
  const [maker, ...others] = draw.of([first, ...rest])
  if (maker === undefined) throw new Error("nothing can break")
  return draw.of([maker, ...others])(draw)
}
