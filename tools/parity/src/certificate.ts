/** A certificate for 127.0.0.1 that is its own authority. */
import { Effect } from "effect"
import { generate } from "selfsigned"

const day = 24 * 60 * 60 * 1000

export const certificate = Effect.map(
  Effect.promise(() =>
    generate([{ name: "commonName", value: "127.0.0.1" }], {
      keyType: "ec",
      algorithm: "sha256",
      notBeforeDate: new Date(Date.now() - day),
      notAfterDate: new Date(Date.now() + day),
      extensions: [
        { name: "basicConstraints", cA: true, critical: true },
        { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }
      ]
    })
  ),
  ({ cert, private: key }) => ({ cert, key })
)
