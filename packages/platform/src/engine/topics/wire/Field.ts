import { Binary, Text, type Message } from "@effect-websocket/protocol/Message"
import type { Position } from "../Publication.js"
import * as base64 from "./base64.js"
import type { Reader, Writer } from "./Bytes.js"
import { invalid } from "./Bytes.js"

/** How one kind of value is written, in JSON and in bytes. `fromJson` and `read` throw `invalid`. */
export interface Field<A> {
  /** `undefined` is left out. */
  toJson(value: A): unknown
  fromJson(json: unknown): A
  write(writer: Writer, value: A): void
  read(reader: Reader): A
}

export type Fields = Readonly<Record<string, Field<unknown>>>

type ValueOfField<F> = F extends Field<infer A> ? A : never

/** The object that has these fields. */
export type ValueOfFields<F> = { readonly [K in keyof F]: ValueOfField<F[K]> }

const same = <A>(value: A): unknown => value

/** An integer from 0. */
export const uint: Field<number> = {
  toJson: same,
  fromJson: (json) => (typeof json === "number" && Number.isSafeInteger(json) && json >= 0 ? json : invalid()),
  write: (writer, value) => writer.uint(value),
  read: (reader) => reader.uint()
}

export const text: Field<string> = {
  toJson: same,
  fromJson: (json) => (typeof json === "string" ? json : invalid()),
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.text()
}

/** In JSON, `false` is left out. */
export const flag: Field<boolean> = {
  toJson: (value) => (value ? true : undefined),
  fromJson: (json) => (json === undefined ? false : typeof json === "boolean" ? json : invalid()),
  write: (writer, value) => writer.byte(value ? 1 : 0),
  read: (reader) => reader.flag()
}

export const optional = <A>(field: Field<A>): Field<A | undefined> => ({
  toJson: (value) => (value === undefined ? undefined : field.toJson(value)),
  fromJson: (json) => (json === undefined ? undefined : field.fromJson(json)),
  write: (writer, value) => {
    writer.byte(value === undefined ? 0 : 1)
    if (value !== undefined) field.write(writer, value)
  },
  read: (reader) => (reader.flag() ? field.read(reader) : undefined)
})

export const list = <A>(field: Field<A>): Field<ReadonlyArray<A>> => ({
  toJson: (values) => values.map((value) => field.toJson(value)),
  fromJson: (json) => (Array.isArray(json) ? json.map((value) => field.fromJson(value)) : invalid()),
  write: (writer, values) => {
    writer.uint(values.length)
    for (const value of values) field.write(writer, value)
  },
  read: (reader) => {
    const values: Array<A> = []
    // Each value takes at least a byte, so the reader ends before a length that is too large matters.
    for (let rest = reader.uint(); rest > 0; rest--) values.push(field.read(reader))
    return values
  }
})

const isRecord = (json: unknown): json is Readonly<Record<string, unknown>> =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** An object. In bytes, its fields follow one another in this order. */
export const struct = <F extends Fields>(fields: F): Field<ValueOfFields<F>> => {
  // The fields belong to the values of the object with the same names.
  const entries = Object.entries(fields) as ReadonlyArray<readonly [keyof F & string, Field<unknown>]>
  type Value = ValueOfFields<F>
  const collect = (valueOf: (field: Field<unknown>, name: string) => unknown): Value => {
    const value: Record<string, unknown> = {}
    for (const [name, field] of entries) value[name] = valueOf(field, name)
    return value as Value
  }
  return {
    toJson: (value) => collect((field, name) => field.toJson(value[name])),
    fromJson: (json) =>
      isRecord(json)
        ? collect((field, name) => field.fromJson(Object.hasOwn(json, name) ? json[name] : undefined))
        : invalid(),
    write: (writer, value) => {
      for (const [name, field] of entries) field.write(writer, value[name])
    },
    read: (reader) => collect((field) => field.read(reader))
  }
}

/** One of these texts. In bytes, its index. */
export const oneOf = <const A extends string>(values: ReadonlyArray<A>): Field<A> => ({
  toJson: same,
  fromJson: (json) => values.find((value) => value === json) ?? invalid(),
  write: (writer, value) => writer.byte(values.indexOf(value)),
  read: (reader) => values[reader.byte()] ?? invalid()
})

export const position: Field<Position> = struct({ epoch: text, offset: uint })

const base64Key = "base64"

/** A message of the app. In JSON, a text is a string, and bytes are an object with their base64. */
export const data: Field<Message> = {
  toJson: (message) => (message._tag === "Text" ? message.data : { [base64Key]: base64.encode(message.data) }),
  fromJson: (json) => {
    if (typeof json === "string") return new Text(json)
    const encoded = isRecord(json) ? json[base64Key] : undefined
    return new Binary((typeof encoded === "string" ? base64.decode(encoded) : undefined) ?? invalid())
  },
  write: (writer, message) => {
    writer.byte(message._tag === "Text" ? 0 : 1)
    if (message._tag === "Text") writer.text(message.data)
    else writer.bytes(message.data)
  },
  read: (reader) => (reader.flag() ? new Binary(reader.bytes().slice()) : new Text(reader.text()))
}
