/**
 * The page's side of the chat, over the browser's own `WebSocket`. Text of other members is shown as text, never as markup.
 *
 * The page reconnects and recovers by itself: it tells the server the position behind the last message that it has, and sends
 * again what it has not seen published.
 *
 * @import { ClientMessage, Person, Position, Say, ServerMessage } from "../Protocol.js"
 */

const pingInterval = 2_000
/** A connection without an answer for this long counts as lost. The browser itself would take minutes to notice. */
const patience = 8_000
/** After 4 seconds without news, the server no longer lists a member as typing. */
const typingInterval = 2_000
const firstDelay = 500
const longestDelay = 30_000
const maxLines = 500

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 */
const find = (id, type) => {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`The page has no ${id}`)
  return element
}

const view = {
  entrance: find("entrance", HTMLElement),
  joinForm: find("join", HTMLFormElement),
  name: find("name", HTMLInputElement),
  room: find("room", HTMLInputElement),
  refusal: find("refusal", HTMLElement),
  chat: find("chat", HTMLElement),
  title: find("title", HTMLElement),
  link: find("link", HTMLElement),
  status: find("status", HTMLElement),
  detail: find("detail", HTMLElement),
  retry: find("retry", HTMLButtonElement),
  leave: find("leave", HTMLButtonElement),
  count: find("count", HTMLElement),
  members: find("members", HTMLElement),
  log: find("log", HTMLElement),
  typing: find("typing", HTMLElement),
  sayForm: find("say", HTMLFormElement),
  text: find("text", HTMLInputElement),
  send: find("send", HTMLButtonElement)
}

/** A text that nobody guesses. */
const random = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

/** Who this page is, and where. The key is what its name belongs to, so the browser keeps it for a reload. */
let me = { name: "", room: "", key: random() }

/** @type {WebSocket | undefined} */
let socket
let attempts = 0
/** Whether the page has its seat, and everything that it missed. */
let isIn = false
/** @type {Position | undefined} The position behind what the log shows. */
let at
/** @type {Map<string, Say>} What this page has said, and not seen published. */
const unpublished = new Map()
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer
let pings = 0
/** When the page began to wait for an answer, if it waits for one: to its request for a seat, later to a ping. */
let askedAt = /** @type {number | undefined} */ (undefined)
let typedAt = -Infinity
/** @type {Map<string, Person>} */
const people = new Map()

// The view.

/**
 * @param {string} tag
 * @param {string} className
 * @param {ReadonlyArray<Node | string>} children
 */
const make = (tag, className, ...children) => {
  const element = document.createElement(tag)
  element.className = className
  element.append(...children)
  return element
}

/** @param {string} name */
const avatar = (name) => {
  const [first = "?"] = name
  const element = make("span", "avatar", first.toUpperCase())
  element.ariaHidden = "true"
  const hue = Array.from(name).reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 360, 7)
  element.style.setProperty("--hue", String(hue))
  return element
}

/** @param {HTMLElement} line */
const addLine = (line) => {
  const { log } = view
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80
  log.append(line)
  while (log.childElementCount > maxLines) log.firstElementChild?.remove()
  if (atEnd) log.scrollTop = log.scrollHeight
}

/** @param {string} text */
const notice = (text) => addLine(make("li", "notice", text))

const showPeople = () => {
  view.count.textContent = `· ${people.size}`
  view.members.replaceChildren(
    ...Array.from(people.keys(), (name) => make("li", "", avatar(name), name === me.name ? `${name} (you)` : name))
  )
  const typists = Array.from(people.values()).filter(({ isTyping, name }) => isTyping && name !== me.name)
  const names = typists.map(({ name }) => name)
  view.typing.textContent =
    names.length === 0
      ? ""
      : names.length > 3
        ? "Several people are typing"
        : `${names.join(", ")} ${names.length === 1 ? "is" : "are"} typing`
}

/**
 * @param {"open" | "lost"} state
 * @param {string} status
 */
const showLink = (state, status) => {
  view.chat.dataset["state"] = state
  view.link.dataset["state"] = state
  view.status.textContent = status
  view.send.disabled = state !== "open"
  view.detail.textContent = ""
}

// The connection.

/** @param {ClientMessage} message */
const tell = (message) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
}

const connect = () => {
  drop()
  view.retry.hidden = true
  showLink("lost", "Connecting …")
  const url = new URL("socket", location.href)
  url.protocol = url.protocol.replace("http", "ws")
  url.hash = ""
  const attempt = new WebSocket(url)
  socket = attempt
  attempt.onopen = () => tell({ _tag: "Join", ...me, ...(at === undefined ? {} : { since: at }) })
  attempt.onmessage = ({ data }) => {
    /** @type {ServerMessage} */
    const message = JSON.parse(data)
    receive(message)
  }
  attempt.onclose = lose
  watch()
}

/** Ignores the old connection from now on, because its end may take a long time. */
const drop = () => {
  clearTimeout(timer)
  if (socket === undefined) return
  socket.onopen = socket.onmessage = socket.onclose = null
  socket.close()
  socket = undefined
}

/**
 * Checks whether the server answers, as long as there is a connection. Timers of a page in the background fire late.
 */
const watch = () => {
  askedAt = performance.now()
  const look = () => {
    if (askedAt === undefined) ping()
    else if (performance.now() - askedAt > patience) return lose()
    timer = setTimeout(look, pingInterval)
  }
  timer = setTimeout(look, pingInterval)
}

const ping = () => {
  askedAt = performance.now()
  tell({ _tag: "Ping", id: ++pings })
}

/** Waits twice as long each time, plus a random time, so that not all pages reconnect at once. */
const lose = () => {
  drop()
  if (view.chat.hidden) return end("The server cannot be reached.")
  if (isIn) notice("Connection lost")
  isIn = false
  view.typing.textContent = ""
  showLink("lost", "Reconnecting")
  view.retry.hidden = false
  const delay = Math.min(firstDelay * 2 ** attempts++, longestDelay) * (0.5 + Math.random() / 2)
  const until = performance.now() + delay
  const countDown = () => {
    const left = until - performance.now()
    if (left <= 0) return connect()
    view.detail.textContent = `in ${Math.ceil(left / 1000)} s`
    timer = setTimeout(countDown, Math.min(left, 1000))
  }
  countDown()
}

/**
 * Shows the entrance again, and makes no further attempt.
 *
 * @param {string} reason
 */
const end = (reason) => {
  drop()
  isIn = false
  attempts = 0
  history.replaceState(null, "")
  view.chat.hidden = true
  view.entrance.hidden = false
  view.refusal.textContent = reason
  view.name.focus()
}

/**
 * What follows is behind this position. Says so if messages are missing between the log and it.
 *
 * @param {Position} position
 */
const goOn = (position) => {
  const isGap = at !== undefined && (at.epoch !== position.epoch || at.offset !== position.offset)
  if (isGap) addLine(make("li", "notice gap", "Messages are missing here"))
  at = position
  return isGap
}

/** @param {ServerMessage} message */
const receive = (message) => {
  switch (message._tag) {
    case "Started": {
      const isNew = at === undefined
      const isGap = goOn(message.position)
      if (!isNew && !isIn) notice(isGap ? "Connected again" : "Connected again. Nothing is missing")
      return
    }
    case "Said": {
      const { epoch, offset } = message.position
      goOn({ epoch, offset: offset - 1 })
      at = message.position
      unpublished.delete(message.id)
      const time = new Date(message.time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      const about = make("p", "about", make("b", "", message.name), time)
      const bubble = make("div", "bubble", about, make("p", "", message.text))
      return addLine(make("li", message.name === me.name ? "message own" : "message", avatar(message.name), bubble))
    }
    case "Present":
      people.clear()
      for (const person of message.people) people.set(person.name, person)
      showPeople()
      return isIn ? undefined : comeIn()
    case "Changed":
      for (const person of [...message.entered, ...message.updated]) people.set(person.name, person)
      for (const { name } of message.left) people.delete(name)
      showPeople()
      for (const { name } of message.entered) if (name !== me.name) notice(`${name} entered`)
      for (const { name } of message.left) notice(`${name} left`)
      return
    case "Pong":
      if (message.id !== pings || askedAt === undefined) return
      view.detail.textContent = `${Math.max(1, Math.round(performance.now() - askedAt))} ms`
      askedAt = undefined
      return
    case "Refused":
      return isIn ? notice(message.reason) : end(message.reason)
  }
}

/** Now the page may speak. What it said on its last connection may have been published or not, so it says that again. */
const comeIn = () => {
  isIn = true
  attempts = 0
  if (view.chat.hidden) {
    view.entrance.hidden = true
    view.chat.hidden = false
    view.log.scrollTop = view.log.scrollHeight
    view.text.focus()
    notice(`You entered ${me.room}`)
  }
  view.title.textContent = `# ${me.room}`
  showLink("open", "Connected")
  for (const message of unpublished.values()) tell(message)
  ping()
}

/** Enters a room, whose log is empty at first. */
const enter = () => {
  at = undefined
  unpublished.clear()
  view.log.replaceChildren()
  view.refusal.textContent = ""
  history.replaceState(me, "", `#${new URLSearchParams({ room: me.room })}`)
  connect()
}

// What the user does.

// A link to the page may name the room.
view.room.value = new URLSearchParams(location.hash.slice(1)).get("room") ?? "lobby"

view.joinForm.addEventListener("submit", (event) => {
  event.preventDefault()
  me = { ...me, name: view.name.value.trim(), room: view.room.value.trim() }
  enter()
})

view.leave.addEventListener("click", () => end(""))

view.sayForm.addEventListener("submit", (event) => {
  event.preventDefault()
  const text = view.text.value.trim()
  if (text === "" || !isIn) return
  // The line is shown when the server sends it to everybody.
  /** @type {Say} */
  const message = { _tag: "Say", id: random(), text }
  unpublished.set(message.id, message)
  tell(message)
  view.text.value = ""
  typedAt = -Infinity
})

view.text.addEventListener("input", () => {
  const now = performance.now()
  if (view.text.value === "" || now - typedAt < typingInterval) return
  typedAt = now
  tell({ _tag: "Typing" })
})

const retryNow = () => {
  if (!view.retry.hidden) connect()
}
view.retry.addEventListener("click", retryNow)
window.addEventListener("online", retryNow)

// After a reload the page is where it was.
if (history.state?.key !== undefined) {
  me = history.state
  view.name.value = me.name
  view.room.value = me.room
  enter()
}
