import { createHash } from "node:crypto"

/** A text as one token of a subject, or as the value of a header: other bytes than these are `=` and two digits. */
export const escapeToken = (text: string): string =>
  text.replaceAll(/[^\w/-]/gu, (character) =>
    Array.from(Buffer.from(character), (byte) => `=${byte.toString(16).padStart(2, "0")}`).join("")
  )

export const unescapeToken = (token: string): string =>
  token.replaceAll(/(?:=[0-9a-f]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll("=", ""), "hex").toString())

/** A name of bounded length, of the characters that streams and subjects allow. */
const digest = (text: string): string => createHash("sha256").update(text).digest("base64url")

/** The stream of a topic: of any name, within the limits of file names. */
export const streamOf = (prefix: string, topic: string): string => `${prefix}_${digest(topic)}`

/** What a publisher sends to. The stream of a topic takes one epoch only, so that no other one gets the message. */
export const publishSubject = (prefix: string, topic: string, epoch: string): string =>
  `${prefix}.in.${escapeToken(topic)}.${epoch}`

/** What all streams of topics take. */
export const allPublishSubjects = (prefix: string): string => `${prefix}.in.>`

/** What the server tells subscribers of, with `*` for any epoch. */
export const publicationSubject = (prefix: string, topic: string, epoch: string): string =>
  `${prefix}.out.${escapeToken(topic)}.${epoch}`

/** What all processes that use the topic of a stream listen to. */
export const controlSubject = (prefix: string, stream: string): string =>
  `${prefix}.control.${stream.slice(prefix.length + 1)}`

/** The last token of a subject: the epoch, or the session. */
export const lastToken = (subject: string): string => subject.slice(subject.lastIndexOf(".") + 1)

/** The stream with the sessions of all topics. */
export const presenceStream = (prefix: string): string => `${prefix}_presence`

/** What sessions of a topic are sent to, with `*` for any of them. */
export const sessionSubject = (prefix: string, topic: string, session: string): string =>
  `${prefix}.presence.${escapeToken(topic)}.${session}`

/** What the server tells listeners of a topic. */
export const changeSubject = (prefix: string, topic: string): string => `${prefix}.present.${escapeToken(topic)}.*`

/** What the stream of sessions takes, and where it tells that. */
export const presenceSubjects = (prefix: string) => ({ src: `${prefix}.presence.>`, dest: `${prefix}.present.>` })

export const sessionToken = (key: string, session: string): string => digest(JSON.stringify([key, session]))
