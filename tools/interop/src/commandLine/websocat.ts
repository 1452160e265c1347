/**
 * What websocat does, as its documentation and its source say. No run can try it, because neither npm nor Debian has the program. A
 * row that is not here is one that they do not tell.
 */
export const websocat: { readonly name: string; readonly cells: Readonly<Record<string, string>> } = {
  name: "websocat 1.14.1, as documented",
  cells: {
    "Up and Enter at the prompt": "no prompt; `rlwrap` gives one",
    "`/ping a`, `/pong b` and `/close 4000 bye` at the prompt": "the code and the reason of a Close, as options",
    "control characters of the peer": "reach the terminal",
    "Ctrl+C": "exits at once",
    "asks for the passphrase of a key": "no; takes PKCS #12 with a password",
    "a line of base64 sends bytes": "with `--base64`",
    "refuses a line that is not JSON": "no; `--jsonrpc` makes calls of words",
    "stdin, while the peer reads nothing": "stops reading",
    "the connection, while nobody reads stdout": "stops reading",
    "status if the server answers 403": "1",
    "status if nobody listens": "1",
    "status if the certificate is not valid": "1",
    "packages that npm installs": "none: one binary, without Node",
    "offers compression": "no; it can deflate the payloads themselves",
    "follows redirects": "no",
    "keeps cookies from run to run": "no",
    "connects again": "with `autoreconnect:`",
    "proxies that it can be given": "SOCKS 5",
    "listening, with two clients, what is typed": "all get it, with `broadcast:`"
  }
}
