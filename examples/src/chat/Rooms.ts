/** The members of each room, and who is typing. This module does not know how a member is connected. */
import { Clock, type Duration, Effect, FiberMap } from "effect"
import { encodeServer, Entered, Joined, Left, Refused, Said, type ServerMessage, Typists } from "./Protocol.js"

/** A member who has not typed for this long is no longer listed as typing. */
export const typingTime: Duration.DurationInput = "4 seconds"
export const maxMembers = 50

export interface Member {
  readonly name: string
  readonly key: string
  /** Gives the member a message. It must not wait for this member, because the others would wait, too. */
  readonly tell: (message: string) => Effect.Effect<void>
  /** Called when the same person takes the seat from another connection. It must not wait either. */
  readonly replaced: Effect.Effect<void>
}

/** The operations of a member in a room. */
export interface Seat {
  readonly say: (text: string) => Effect.Effect<void>
  readonly typing: Effect.Effect<void>
}

interface Room {
  readonly members: Map<string, Member>
  readonly typists: Set<Member>
}

export class Rooms extends Effect.Service<Rooms>()("chat/Rooms", {
  scoped: Effect.gen(function* () {
    const rooms = new Map<string, Room>()
    const pauses = yield* FiberMap.make<Member>()
    // One change at a time, so that all members get the same messages in the same order. Nothing waits inside.
    const inTurn = (yield* Effect.makeSemaphore(1)).withPermits(1)

    const tellAll = (room: Room, message: ServerMessage, except?: Member) => {
      const text = encodeServer(message)
      return Effect.forEach(room.members.values(), (member) => (member === except ? Effect.void : member.tell(text)), {
        discard: true
      })
    }

    const stopTyping = (room: Room, member: Member) =>
      Effect.suspend(() => (room.typists.delete(member) ? tellTypists(room) : Effect.void))

    const typistsOf = ({ typists }: Room) => Typists.make({ names: [...typists].map(({ name }) => name) })
    const tellTypists = (room: Room) => tellAll(room, typistsOf(room))

    const sit = (id: string, member: Member) =>
      Effect.gen(function* () {
        const room: Room = rooms.get(id) ?? { members: new Map(), typists: new Set() }
        const before = room.members.get(member.name)
        if (before !== undefined && before.key !== member.key)
          return yield* Effect.fail(Refused.make({ reason: "this name is taken" }))
        if (before === undefined && room.members.size >= maxMembers)
          return yield* Effect.fail(Refused.make({ reason: "this room is full" }))
        rooms.set(id, room)
        room.members.set(member.name, member)
        yield* member.tell(encodeServer(Joined.make({ room: id, names: [...room.members.keys()] })))
        yield* member.tell(encodeServer(typistsOf(room)))
        if (before === undefined)
          return yield* Effect.as(tellAll(room, Entered.make({ name: member.name }), member), room)
        yield* before.replaced
        yield* stopTyping(room, before)
        return room
      })

    const leave = (id: string, room: Room, member: Member) =>
      Effect.gen(function* () {
        yield* FiberMap.remove(pauses, member)
        if (room.members.get(member.name) !== member) return
        room.members.delete(member.name)
        if (room.members.size === 0) rooms.delete(id)
        yield* stopTyping(room, member)
        yield* tellAll(room, Left.make({ name: member.name }))
      })

    return {
      /** Takes a seat for as long as the scope lives. */
      enter: (id: string, member: Member) =>
        Effect.acquireRelease(inTurn(sit(id, member)), (room) => inTurn(leave(id, room, member))).pipe(
          Effect.map((room): Seat => {
            const whilePresent = (effect: Effect.Effect<void>) =>
              inTurn(Effect.suspend(() => (room.members.get(member.name) === member ? effect : Effect.void)))
            return {
              say: (text) =>
                whilePresent(
                  Effect.gen(function* () {
                    const time = yield* Clock.currentTimeMillis
                    yield* FiberMap.remove(pauses, member)
                    yield* tellAll(room, Said.make({ name: member.name, text, time }))
                    yield* stopTyping(room, member)
                  })
                ),
              typing: whilePresent(
                Effect.gen(function* () {
                  const pause = Effect.delay(inTurn(stopTyping(room, member)), typingTime)
                  yield* FiberMap.run(pauses, member, pause)
                  if (room.typists.has(member)) return
                  room.typists.add(member)
                  yield* tellTypists(room)
                })
              )
            }
          })
        )
    }
  })
}) {}
