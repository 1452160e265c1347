/**
 * The memory in which frames are encoded. All connections share blocks, so that an idle one holds no memory. Frames
 * that one connection encodes in a row form one piece, ready for one write.
 *
 * A block is reused only after every piece of it was recycled. A piece that is never recycled keeps its bytes, and
 * the block is replaced once it is full.
 *
 * A small piece keeps a whole block alive while it waits. So a connection moves its pieces to memory of its own if
 * its transport is behind, or if they are spread over several blocks. A connection then keeps alive at most twice the
 * bytes that wait, and one block.
 */
import { copyInto } from "./GrowingBuffer.js"
import { leaseOf, type Lease } from "./memory.js"

const blockBytes = 64 * 1024
/** A frame of more bytes gets a buffer of its own, which is cheaper than a place in a block. */
export const maxPooledBytes = blockBytes / 2
const maxSpareBlocks = 4

interface Block {
  readonly bytes: Uint8Array
  position: number
  /** The number of pieces that were begun and not recycled. */
  pieces: number
}

let current: Block | undefined
const spare: Array<Block> = []

interface Leases {
  readonly waiting: Array<Lease>
  readonly taken: ReadonlyArray<Lease>
}

const nextBlock = (): Block => {
  current = spare.pop() ?? { bytes: new Uint8Array(blockBytes), position: 0, pieces: 0 }
  return current
}

const release = (block: Block): void => {
  block.pieces--
  if (block.pieces > 0) return
  block.position = 0
  if (block !== current && spare.length < maxSpareBlocks) spare.push(block)
}

/** The same bytes in order. Pieces that lie in the blocks are copied and joined. */
const copyFrom = (pieces: ReadonlyArray<Uint8Array>, blocks: ReadonlyArray<Block>): Array<Uint8Array> => {
  const buffers = buffersOf(blocks)
  const copies: Array<Uint8Array> = []
  for (let i = 0; i < pieces.length;) {
    let size = 0
    let end = i
    for (; end < pieces.length && buffers.has(pieces[end]!.buffer); end++) size += pieces[end]!.length
    if (end === i) {
      copies.push(pieces[i++]!)
      continue
    }
    const copy = new Uint8Array(size)
    for (let offset = 0; i < end; offset += pieces[i++]!.length) copy.set(pieces[i]!, offset)
    copies.push(copy)
  }
  return copies
}

const buffersOf = (blocks: ReadonlyArray<Block>): ReadonlySet<ArrayBufferLike> =>
  new Set(blocks.map(({ bytes }) => bytes.buffer))

const none = new Uint8Array(0)
const noPieces: ReadonlyArray<Uint8Array> = []

/** The bytes that one connection wants to send, in order. */
export class Output {
  /** How many bytes wait to be taken. */
  size = 0
  /** The buffer to write to, from `reserve` until `commit`. */
  bytes: Uint8Array = none
  offset = 0
  // The block of the piece that still grows, and the start and end of the piece in it.
  private block: Block | undefined = undefined
  private start = 0
  private end = 0
  // The pieces before it and their blocks. Usually there are none, because all output is one piece.
  private pieces: Array<Uint8Array> | undefined = undefined
  private blocks: Array<Block> | undefined = undefined
  // The blocks of the last `take`.
  private taken: Block | undefined = undefined
  private takenBefore: ReadonlyArray<Block> | undefined = undefined
  // The leases of the borrowed memory in the pieces that wait, and in those of the last `take`.
  private leases: Leases | undefined = undefined
  // Output was taken and not recycled, so further output may have to wait.
  protected behind = false

  /** Makes room for `count` bytes, at `offset` of `bytes`. No other output may be used until `commit`. */
  reserve(count: number): void {
    if (count > maxPooledBytes) {
      this.seal()
      this.bytes = new Uint8Array(count)
      this.offset = 0
      return
    }
    let block = this.block
    // A piece can grow only if no other connection wrote behind it.
    if (block === undefined || block.position !== this.end || block.position + count > blockBytes) {
      this.seal()
      block = current === undefined || current.position + count > blockBytes ? nextBlock() : current
      const { blocks } = this
      if (blocks !== undefined && blocks[blocks.length - 1] !== block && this.isSpread(blocks)) this.leaveBlocks()
      block.pieces++
      this.block = block
      this.start = this.end = block.position
    }
    this.bytes = block.bytes
    this.offset = block.position
  }

  /** Ends the write that `reserve` began. The bytes from `offset` to `end` are output now. */
  commit(end: number): void {
    this.size += end - this.offset
    if (this.block === undefined) {
      this.add(this.bytes.subarray(0, end))
    } else {
      this.block.position = this.end = end
    }
    this.bytes = none
  }

  /** Adds bytes without copying them. They are not borrowed. */
  refer(bytes: Uint8Array): void {
    this.seal()
    this.add(bytes)
    this.size += bytes.length
  }

  /** Adds a copy of bytes. */
  copy(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    copyInto(this.bytes, this.offset, bytes, 0, bytes.length)
    this.commit(this.offset + bytes.length)
  }

  /** If the only output that waits is in one piece that cannot grow, copies it into one that can. */
  join(): void {
    const { pieces } = this
    if (this.block !== undefined || pieces === undefined || pieces.length !== 1) return
    this.pieces = undefined
    this.size = 0
    this.copy(pieces[0]!)
  }

  /** Adds bytes, which may be borrowed, without copying them. */
  append(bytes: Uint8Array): void {
    const lease = leaseOf(bytes)
    if (lease !== undefined) {
      lease.uses++
      this.leases ??= { waiting: [], taken: [] }
      this.leases.waiting.push(lease)
    }
    this.refer(bytes)
  }

  /** Takes all output that waits. The bytes do not change until `recycle`; without that call, they never change. */
  take(): ReadonlyArray<Uint8Array> {
    if (this.behind || this.blocks !== undefined) return this.takeFromBlocks()
    const { block } = this
    if (block !== undefined) this.add(this.piece(block))
    this.block = undefined
    this.taken = block
    this.takenBefore = undefined
    return this.takePieces()
  }

  private takeFromBlocks(): ReadonlyArray<Uint8Array> {
    this.seal()
    if (this.behind) this.leaveBlocks()
    this.taken = undefined
    this.takenBefore = this.blocks
    this.blocks = undefined
    return this.takePieces()
  }

  private takePieces(): ReadonlyArray<Uint8Array> {
    const pieces = this.pieces ?? noPieces
    this.pieces = undefined
    const waiting = this.leases?.waiting
    // Memory that was taken before and not recycled is left to the garbage collector, as the blocks are.
    this.leases = waiting === undefined || waiting.length === 0 ? undefined : { waiting: [], taken: waiting }
    this.size = 0
    this.behind ||= pieces.length > 0
    return pieces
  }

  /** Allows the memory of the last `take` to be reused. */
  recycle(): void {
    this.behind = false
    if (this.leases !== undefined) this.releaseLeases(this.leases)
    if (this.taken !== undefined) release(this.taken)
    if (this.takenBefore !== undefined) for (const block of this.takenBefore) release(block)
    this.taken = undefined
    this.takenBefore = undefined
  }

  private releaseLeases({ taken, waiting }: Leases): void {
    for (const lease of taken) lease.uses--
    this.leases = waiting.length === 0 ? undefined : { waiting, taken: [] }
  }

  private piece(block: Block): Uint8Array {
    return new Uint8Array(block.bytes.buffer, this.start, this.end - this.start)
  }

  private add(piece: Uint8Array): void {
    if (this.pieces === undefined) this.pieces = [piece]
    else this.pieces.push(piece)
  }

  private seal(): void {
    const { block } = this
    if (block === undefined) return
    this.add(this.piece(block))
    const blocks = (this.blocks ??= [])
    blocks.push(block)
    this.block = undefined
  }

  /** Whether these blocks are larger than twice the bytes that wait in them. */
  private isSpread(blocks: ReadonlyArray<Block>): boolean {
    const buffers = buffersOf(blocks)
    let size = 0
    for (const { buffer, length } of this.pieces!) if (buffers.has(buffer)) size += length
    return buffers.size * blockBytes > 2 * size
  }

  /** Moves the pieces that wait from the shared blocks to memory of their own. */
  private leaveBlocks(): void {
    const { blocks, pieces } = this
    if (blocks === undefined || pieces === undefined) return
    this.pieces = copyFrom(pieces, blocks)
    this.blocks = undefined
    for (const block of blocks) release(block)
  }
}
