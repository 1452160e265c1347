/** Certificates that are made when the tests run: one authority, and what it signs. */
import { generate, type SubjectAltNameEntry } from "selfsigned"

export interface Certificate {
  readonly key: string
  readonly cert: string
}

const day = 24 * 60 * 60 * 1000
const fromNow = (days: number): Date => new Date(Date.now() + days * day)

interface Options {
  readonly ca?: Certificate
  readonly isAuthority?: boolean
  readonly names?: ReadonlyArray<SubjectAltNameEntry>
  /** In days from now. */
  readonly valid?: readonly [from: number, to: number]
  readonly passphrase?: string
}

const make = async (commonName: string, { ca, isAuthority = false, names, passphrase, valid = [-1, 1] }: Options) => {
  const { cert, private: key } = await generate([{ name: "commonName", value: commonName }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: fromNow(valid[0]),
    notAfterDate: fromNow(valid[1]),
    extensions: [
      { name: "basicConstraints", cA: isAuthority, critical: true },
      isAuthority
        ? { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true }
        : { name: "keyUsage", digitalSignature: true, critical: true },
      ...(names === undefined ? [] : [{ name: "subjectAltName" as const, altNames: [...names] }])
    ],
    ...(ca === undefined ? {} : { ca: { ...ca } }),
    ...(passphrase === undefined ? {} : { passphrase })
  })
  return { key, cert }
}

const here: ReadonlyArray<SubjectAltNameEntry> = [
  { type: 2, value: "localhost" },
  { type: 7, ip: "127.0.0.1" }
]

export const passphrase = "MARK-passphrase"

const makeAll = async () => {
  const ca = await make("Test authority", { isAuthority: true })
  return {
    ca,
    good: await make("good", { ca, names: here }),
    expired: await make("expired", { ca, names: here, valid: [-3, -2] }),
    early: await make("early", { ca, names: here, valid: [2, 3] }),
    elsewhere: await make("elsewhere", { ca, names: [{ type: 2, value: "elsewhere.example" }] }),
    selfSigned: await make("self-signed", { names: here }),
    client: await make("client", { ca }),
    secretClient: await make("client", { ca, passphrase }),
    stranger: await make("stranger", { ca: await make("Other authority", { isAuthority: true }), names: here })
  }
}

export const certificates = await makeAll()
