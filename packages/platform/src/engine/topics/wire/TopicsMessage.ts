import {
  data,
  flag,
  list,
  oneOf,
  optional,
  position,
  struct,
  text,
  uint,
  type Field,
  type Fields,
  type ValueOfFields
} from "./Field.js"

/** One kind of message: the name of its type in JSON, the byte of its type, and its fields. */
export interface Layout<M> {
  readonly type: string
  readonly code: number
  readonly fields: Field<Omit<M, "type">>
}

type Value<Type extends string, F> = { readonly type: Type } & ValueOfFields<F>

const layout = <Type extends string, F extends Fields>(
  type: Type,
  code: number,
  fields: F
): Layout<Value<Type, F>> => ({ type, code, fields: struct(fields) as unknown as Field<Omit<Value<Type, F>, "type">> })

/** What a client asks for. `id` is repeated in the answer. */
export const requests = [
  layout("subscribe", 1, { id: uint, topic: text, since: optional(position), last: uint }),
  layout("unsubscribe", 2, { id: uint, topic: text }),
  layout("publish", 3, { id: uint, topic: text, key: optional(text), echo: flag, data }),
  layout("ping", 4, { id: uint, topic: optional(text) }),
  layout("track", 5, { id: uint, topic: text, session: uint, key: text, meta: text }),
  layout("untrack", 6, { id: uint, session: uint }),
  layout("watch", 7, { id: uint, topic: text, counts: flag }),
  layout("unwatch", 8, { id: uint, topic: text, counts: flag })
] as const

const member = struct({ key: text, metas: list(text) })

/** How a subscription begins, as it is written. */
const beginnings = ["new", "recovered", "gap"] as const

/** What a server says. */
export const answers = [
  layout("ok", 65, { id: uint, position: optional(position) }),
  layout("error", 66, { id: uint, reason: text, max: optional(uint) }),
  layout("started", 67, { topic: text, how: oneOf(beginnings), position, missed: uint }),
  layout("publication", 68, { topic: text, position, data }),
  layout("present", 69, { topic: text, members: list(member) }),
  layout("changed", 70, { topic: text, joined: list(member), updated: list(member), left: list(member) }),
  layout("count", 71, { topic: text, count: uint })
] as const

type MessageOf<L> = L extends Layout<infer M> ? M : never

/** A message of a client. */
export type Request = MessageOf<(typeof requests)[number]>

/** A message of a server. */
export type Answer = MessageOf<(typeof answers)[number]>
