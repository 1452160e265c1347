/** Random faults while messages are published, and what the model says of the outcome. */
import { isDeepStrictEqual } from "node:util"
import { setTimeout as sleep } from "node:timers/promises"
import type { Draw } from "./Draw.js"
import { Ledger, SubscriberLog, Violation, type Publication } from "./Model.js"
import { drawFault, type Fault } from "./faults.js"
import type { Begin, Command, Members, Told } from "./programs/protocol.js"
import { expiryMillis } from "./programs/presence.js"
import type { Trace } from "./Trace.js"
import type { Member, World } from "./World.js"

const topics = ["a", "b", "c"] as const
const keys = ["ann", "bob", "eve"] as const
const roundMillis = 400
// For what has to come about in the end. It takes much less on a quiet machine.
const patience = 30_000
// What a presence may take longer than its expiry, on a busy machine.
const grace = 5_000

interface Subscriber {
  readonly member: Member
  readonly log: SubscriberLog
}

interface Session {
  readonly member: Member
  readonly topic: string
  readonly key: string
  readonly meta: string
}

interface Watch {
  readonly member: Member
  readonly topic: string
  members: Members | undefined
}

type Answer = Extract<Told, { readonly tell: "published" | "failed" | "members" | "history" | "removed" }>

interface Question {
  readonly member: Member
  /** `undefined` if its process has ended. */
  readonly answer: (answer: Answer | undefined) => void
}

export class FaultRun {
  private readonly world: World
  private readonly draw: Draw
  private readonly trace: Trace
  private readonly ledger: Ledger
  private readonly keepsData: boolean
  private readonly subscribers = new Map<string, Subscriber>()
  private readonly sessions = new Map<string, Session>()
  private readonly watches = new Map<string, Watch>()
  private readonly questions = new Map<string, Question>()
  private readonly underWay = new Set<Promise<void>>()
  private readonly broken = new Set<string>()
  private failure: { readonly cause: unknown } | undefined = undefined
  private lastId = 0
  /** The longest time until presence was right after the faults had ended, in milliseconds. */
  slowestPresence = 0
  readonly counts = { faults: 0, publications: 0, acknowledged: 0, elements: 0, gaps: 0 }

  constructor(world: World, draw: Draw, trace: Trace, keepsData: boolean) {
    this.world = world
    this.draw = draw
    this.trace = trace
    this.ledger = new Ledger(keepsData)
    this.keepsData = keepsData
  }

  /** All programs have started. */
  begin(): void {
    for (const member of this.world.members) {
      for (const topic of topics) this.subscribe(member, topic, {})
      this.track(member, topics[0], this.draw.of(keys))
      this.watch(member, topics[0])
    }
  }

  /** Faults, publications and changes of who listens, which may last beyond the end of the round. */
  async round(): Promise<void> {
    for (let count = this.draw.between(1, 2); count > 0; count--) this.breakSomething()
    for (let count = this.draw.between(3, 8); count > 0; count--) this.publishSometime()
    for (let count = this.draw.between(0, 2); count > 0; count--) this.changeSomething()
    await sleep(roundMillis)
    this.check()
  }

  /** Ends all faults. Then everybody has to get everything, and all have to agree on who is present. */
  async settle(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay)
    this.check()
    this.trace.add("run", "settles")
    for (const topic of topics) await this.settleTopic(topic)
    await this.settlePresence()
    this.check()
  }

  // What programs tell

  told(name: string, told: Told): void {
    try {
      this.take(name, told)
    } catch (cause) {
      this.note(cause)
    }
  }

  /** The first one ends the run. */
  private note(cause: unknown): void {
    this.trace.stop()
    this.failure ??= { cause }
  }

  private take(name: string, told: Told): void {
    this.trace.add(name, told)
    switch (told.tell) {
      case "crashed":
        throw new Violation("a program does not crash", name, told.output)
      case "begins":
        this.subscribers.get(told.id)?.log.begins(told.begin)
        return
      case "element":
        this.counts.elements++
        if (told.element.tag === "Gap") this.counts.gaps++
        this.subscribers.get(told.id)?.log.take(told.element)
        return
      case "ready":
        return
      default: {
        const watch = this.watches.get(told.id)
        if (watch !== undefined && told.tell === "members") watch.members = told.members
        this.questions.get(told.id)?.answer(told)
      }
    }
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.cause
  }

  // Faults

  /** Something that ends by itself. `settle` waits for it. */
  private start(task: Promise<void>): void {
    const noted = task.catch((cause: unknown) => this.note(cause)).finally(() => this.underWay.delete(noted))
    this.underWay.add(noted)
  }

  private breakSomething(): void {
    const fault = drawFault(this.world, this.draw)
    const [delay, duration] = [this.draw.between(0, roundMillis), this.draw.between(50, 900)]
    const run = async (): Promise<void> => {
      await sleep(delay)
      // What is broken already stays as it is.
      if (this.broken.has(fault.subject)) return
      this.broken.add(fault.subject)
      this.counts.faults++
      this.trace.add(fault.subject, `${fault.name} for ${duration} ms`)
      if (fault.program !== undefined) await this.killed(fault.program, fault.begin)
      else await fault.begin()
      await sleep(duration)
      await fault.end()
      this.trace.add(fault.subject, `${fault.name} has ended`)
      if (fault.program !== undefined) this.restarted(fault.program)
      this.broken.delete(fault.subject)
    }
    this.start(run())
  }

  private async killed(member: Member, kill: Fault["begin"]): Promise<void> {
    await kill()
    for (const [id, question] of this.questions) {
      if (question.member !== member) continue
      this.questions.delete(id)
      question.answer(undefined)
    }
    for (const watch of this.watches.values()) if (watch.member === member) watch.members = undefined
  }

  /** A process that was started again does what it did before. */
  private restarted(member: Member): void {
    for (const [id, { log, member: owner }] of this.subscribers) {
      if (owner === member) this.command(member, { do: "subscribe", id, topic: log.topic, begin: beginOf(log) })
    }
    for (const [id, { key, member: owner, meta, topic }] of this.sessions) {
      if (owner === member) this.command(member, { do: "track", id, topic, key, meta })
    }
    for (const [id, { member: owner, topic }] of this.watches) {
      if (owner === member) this.command(member, { do: "watch", id, topic })
    }
  }

  // Publishing

  private publishSometime(): void {
    const { draw } = this
    const group = draw.chance(60) ? this.world.clients : this.world.nodes
    const members = Array.from({ length: draw.between(1, 3) }, () => this.memberOf(group))
    const [delay, topic, echo] = [draw.between(0, roundMillis), draw.of(topics), draw.chance(50)]
    const run = async (): Promise<void> => {
      await sleep(delay)
      await this.publish(members, topic, echo || group === this.world.nodes)
    }
    this.start(run())
  }

  /** Publishes a message once, with one attempt after another until one succeeds. */
  private async publish(members: ReadonlyArray<Member>, topic: string, echo: boolean): Promise<boolean> {
    const text = `p${++this.counts.publications}`
    const listening = [...this.subscribers.values()].flatMap(({ log, member }) =>
      member === members[0] && log.topic === topic ? (log.subscription ?? []) : []
    )
    const publication: Publication = {
      text,
      topic,
      echo,
      publishers: new Set(),
      attempts: 0,
      isAcknowledged: false,
      listening
    }
    this.ledger.add(publication)
    for (const member of members) {
      publication.attempts++
      publication.publishers.add(member.program.name)
      const answer = await this.ask(member, (id) => ({ do: "publish", id, topic, text, key: text, echo }))
      if (answer?.tell === "published") {
        this.counts.acknowledged++
        this.ledger.acknowledge(member.program.name, publication, answer.position)
        return true
      }
      if (answer?.tell === "failed" && answer.reason !== "Unavailable") {
        throw new Violation("only what is unavailable fails", member.program.name, `${text}: ${answer.reason}`)
      }
      await sleep(50)
    }
    return false
  }

  // Who listens and is present

  private changeSomething(): void {
    const member = this.memberOf(this.world.members)
    const topic = this.draw.of(topics)
    switch (this.draw.of(["subscribe", "track", "watch", "remove"] as const)) {
      case "remove":
        return this.remove(topic)
      case "subscribe":
        return this.resubscribe(member, topic)
      case "track":
        return this.retrack(member, topic)
      case "watch":
        return this.rewatch(member)
    }
  }

  /** Removes a topic. What it had is lost, so an engine that keeps its data is left alone. */
  private remove(topic: string): void {
    if (this.keepsData) return
    const node = this.memberOf(this.world.nodes)
    const run = async (): Promise<void> => {
      await this.ask(node, (id) => ({ do: "remove", id, topic }))
    }
    this.start(run())
  }

  /** Ends a subscription of a member, and begins another one. */
  private resubscribe(member: Member, topic: string): void {
    const how = this.draw.of(["since", "since", "last", "now"] as const)
    const last = this.draw.between(1, 20)
    for (const [id, { log, member: owner }] of this.subscribers) {
      if (owner !== member || log.topic !== topic) continue
      this.subscribers.delete(id)
      this.command(member, { do: "end", id })
      if (how === "since") this.subscribe(member, topic, beginOf(log), log)
      else this.subscribe(member, topic, how === "last" ? { last } : {})
      // A member has one subscription to a topic.
      return
    }
  }

  private retrack(member: Member, topic: string): void {
    const key = this.draw.of(keys)
    const isMore = this.draw.chance(50)
    for (const [id, session] of isMore ? [] : this.sessions) {
      if (session.member !== member) continue
      this.sessions.delete(id)
      return this.command(member, { do: "end", id })
    }
    this.track(member, topic, key)
  }

  private rewatch(member: Member): void {
    for (const [id, watch] of this.watches) {
      if (watch.member !== member) continue
      this.watches.delete(id)
      this.command(member, { do: "end", id })
      return this.watch(member, watch.topic)
    }
  }

  private subscribe(member: Member, topic: string, begin: Begin, known?: SubscriberLog): void {
    const id = this.nextId("s")
    const { name } = member.program
    const client = this.world.clients.includes(member) ? name : undefined
    const log = known ?? new SubscriberLog(this.ledger, name, topic, client)
    log.subject = `${name} ${id}`
    this.subscribers.set(id, { member, log })
    this.command(member, { do: "subscribe", id, topic, begin })
  }

  private track(member: Member, topic: string, key: string): void {
    const id = this.nextId("t")
    const session: Session = { member, topic, key, meta: id }
    this.sessions.set(id, session)
    this.command(member, { do: "track", id, topic, key, meta: session.meta })
  }

  private watch(member: Member, topic: string): void {
    const id = this.nextId("w")
    this.watches.set(id, { member, topic, members: undefined })
    this.command(member, { do: "watch", id, topic })
  }

  // After the faults

  private async settleTopic(topic: string): Promise<void> {
    const [node] = this.world.nodes
    if (node === undefined) return
    const attempts = Array.from({ length: 20 }, () => node)
    if (!(await this.publish(attempts, topic, /* echo */ true))) {
      throw new Violation("a publish succeeds without faults", node.program.name, topic)
    }
    const answer = await this.ask(node, (id) => ({ do: "history", id, topic }))
    if (answer?.tell !== "history")
      throw new Violation("the history can be read without faults", node.program.name, topic)
    const { newest, texts } = answer
    this.ledger.history(node.program.name, topic, newest, texts)
    for (const { log } of this.subscribers.values()) {
      if (log.topic !== topic) continue
      const isThere = (): boolean => log.position?.epoch === newest.epoch && log.position.offset >= newest.offset
      await this.until(isThere, patience, () => {
        const { position } = log
        const detail = `${position?.epoch}:${position?.offset} of ${newest.epoch}:${newest.offset}`
        return new Violation("every subscriber gets everything in the end", log.subject, detail)
      })
      log.settle(newest)
    }
  }

  private async settlePresence(): Promise<void> {
    const start = performance.now()
    for (const topic of topics) {
      const expected = this.expected(topic)
      for (const node of this.world.nodes) await this.untilListed(node, topic, expected, start)
      for (const [id, watch] of this.watches) {
        if (watch.topic !== topic) continue
        await this.until(
          () => isDeepStrictEqual(watch.members, expected),
          start + expiryMillis + grace - performance.now(),
          () => this.notPresent(`${watch.member.program.name} ${id}`, topic, watch.members, expected)
        )
      }
    }
    this.slowestPresence = Math.max(this.slowestPresence, performance.now() - start)
  }

  private async untilListed(node: Member, topic: string, expected: Members, start: number): Promise<void> {
    for (;;) {
      this.check()
      const answer = await this.ask(node, (id) => ({ do: "list", id, topic }))
      const members = answer?.tell === "members" ? sorted(answer.members) : undefined
      if (isDeepStrictEqual(members, expected)) return
      if (performance.now() > start + expiryMillis + grace) {
        throw this.notPresent(node.program.name, topic, members, expected)
      }
      await sleep(20)
    }
  }

  private notPresent(subject: string, topic: string, members: Members | undefined, expected: Members): Violation {
    const detail = `${topic} has ${JSON.stringify(members)} in place of ${JSON.stringify(expected)}`
    return new Violation("presence is right within its expiry", subject, detail)
  }

  private expected(topic: string): Members {
    const members: Record<string, Array<string>> = {}
    for (const session of this.sessions.values()) {
      if (session.topic === topic) (members[session.key] ??= []).push(session.meta)
    }
    return sorted(members)
  }

  // Programs

  private command(member: Member, command: Command): void {
    this.trace.add(member.program.name, command)
    member.program.command(command)
  }

  /** Succeeds with `undefined` if the process ends. */
  private ask(member: Member, make: (id: string) => Command): Promise<Answer | undefined> {
    const command = make(this.nextId("q"))
    if (!member.program.isReady) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.questions.set(command.id, {
        member,
        answer: (answer) => {
          this.questions.delete(command.id)
          resolve(answer)
        }
      })
      this.command(member, command)
    })
  }

  private async until(holds: () => boolean, millis: number, violation: () => Violation): Promise<void> {
    const deadline = performance.now() + millis
    while (!holds()) {
      this.check()
      if (performance.now() > deadline) throw violation()
      await sleep(10)
    }
  }

  private memberOf(members: ReadonlyArray<Member>): Member {
    const [first, ...rest] = members
    if (first === undefined) throw new Error("there is no member")
    return this.draw.of([first, ...rest])
  }

  private nextId(kind: string): string {
    return `${kind}${++this.lastId}`
  }
}

const beginOf = ({ position }: SubscriberLog): Begin => (position === undefined ? {} : { since: position })

const sorted = (members: Members): Members =>
  Object.fromEntries(
    Object.entries(members)
      .map(([key, metas]) => [key, [...metas].sort()] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1))
  )
