/** Streams of bytes; not all browsers let `for await` take them as they are. */

/** Yields the parts of a stream, and cancels it if they are not all wanted. */
export async function* partsOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // After an error there is nothing left to cancel.
    await reader.cancel().catch(() => {});
  }
}
