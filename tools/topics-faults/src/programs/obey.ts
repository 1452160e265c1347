/** Does what the run commands, and tells what comes of it. Nodes and clients have it in common. */
import type { Presence, TopicBroker, Topics } from "@effect-websocket/platform"
import { Effect, Exit, Scope, Stream } from "effect"
import type { Begin, Command, Element, Members, Settings, Told } from "./protocol.js"

type TopicError = TopicBroker.TopicError

/** What a program can do. */
export interface Ability {
  readonly subscribe: (topic: string, begin: Begin) => Stream.Stream<Topics.TopicEvent, TopicError>
  readonly publish: (
    topic: string,
    text: string,
    key: string,
    echo: boolean
  ) => Effect.Effect<TopicBroker.Position, TopicError>
  readonly track: (topic: string, key: string, meta: string) => Effect.Effect<unknown, TopicError, Scope.Scope>
  readonly presence: (topic: string) => Stream.Stream<Presence.PresenceEvent, TopicError>
  readonly list: (topic: string) => Effect.Effect<ReadonlyArray<Presence.Member>, TopicError>
  readonly history: (topic: string) => Effect.Effect<TopicBroker.HistoryPage, TopicError>
  readonly remove: (topic: string) => Effect.Effect<void, TopicError>
}

export const tell = (told: Told): void => {
  process.send?.(told)
}

const elementOf = (event: Topics.TopicEvent): Element => ({
  tag: event._tag,
  position: event.position,
  text: event._tag === "Publication" ? String(event.message.data) : undefined
})

const membersOf = (members: Iterable<Presence.Member>): Members =>
  Object.fromEntries([...members].map(({ key, metas }) => [key, metas]))

/** A short while after a failure, as an app would. */
const again = <R>(attempt: Effect.Effect<void, TopicError, R>): Effect.Effect<void, never, R> =>
  Effect.catchAll(attempt, () =>
    Effect.delay(
      Effect.suspend(() => again(attempt)),
      "50 millis"
    )
  )

/** A subscription goes on behind its last position, if it fails. */
const subscribe = (ability: Ability, id: string, topic: string, first: Begin): Effect.Effect<void> => {
  let begin = first
  return again(
    Effect.suspend(() => {
      tell({ tell: "begins", id, begin })
      return Stream.runForEach(ability.subscribe(topic, begin), (event) =>
        Effect.sync(() => {
          begin = { since: event.position }
          tell({ tell: "element", id, element: elementOf(event) })
        })
      )
    })
  )
}

const watch = (ability: Ability, id: string, topic: string): Effect.Effect<void> => {
  const members = new Map<string, Presence.Member>()
  return again(
    Stream.runForEach(ability.presence(topic), (event) =>
      Effect.sync(() => {
        if (event._tag === "Present") members.clear()
        for (const each of event._tag === "Present" ? event.members : [...event.joined, ...event.updated]) {
          members.set(each.key, each)
        }
        if (event._tag === "Changed") for (const { key } of event.left) members.delete(key)
        tell({ tell: "members", id, members: membersOf(members.values()) })
      })
    )
  )
}

const answer = <A>(id: string, effect: Effect.Effect<A, TopicError>, toTold: (value: A) => Told): Effect.Effect<void> =>
  Effect.match(effect, {
    onFailure: ({ reason }) => tell({ tell: "failed", id, reason }),
    onSuccess: (value) => tell(toTold(value))
  })

const perform = (ability: Ability, command: Exclude<Command, { readonly do: "end" }>): Effect.Effect<void> => {
  const { id, topic } = command
  switch (command.do) {
    case "subscribe":
      return subscribe(ability, id, topic, command.begin)
    case "watch":
      return watch(ability, id, topic)
    case "track":
      return again(Effect.scoped(Effect.andThen(ability.track(topic, command.key, command.meta), Effect.never)))
    case "publish":
      return answer(id, ability.publish(topic, command.text, command.key, command.echo), (position) => ({
        tell: "published",
        id,
        position
      }))
    case "list":
      return answer(id, ability.list(topic), (members) => ({ tell: "members", id, members: membersOf(members) }))
    case "history":
      return answer(id, ability.history(topic), ({ newest, publications }) => ({
        tell: "history",
        id,
        newest,
        texts: publications.map(({ message }) => String(message.data))
      }))
    case "remove":
      return answer(id, ability.remove(topic), () => ({ tell: "removed", id }))
  }
}

/** Obeys until the run is over. */
export const obey = (ability: Ability): Effect.Effect<void> =>
  Effect.async<void>(() => {
    const scopes = new Map<string, Scope.CloseableScope>()
    process.on("message", (command: Command) => {
      const scope = scopes.get(command.id)
      if (command.do !== "end") {
        const own = Effect.runSync(Scope.make())
        scopes.set(command.id, own)
        Effect.runFork(Scope.extend(Effect.forkScoped(perform(ability, command)), own))
      } else if (scope !== undefined) {
        scopes.delete(command.id)
        Effect.runFork(Scope.close(scope, Exit.void))
      }
    })
  })

/** A program without its run has nothing to do, whatever still goes on in it. */
process.on("disconnect", () => process.exit())

export const settings = JSON.parse(process.argv[2] ?? "{}") as Settings
