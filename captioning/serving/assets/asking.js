// What the page asks of its server. An Error is for people; `passing` says that another try may go better.

const AGAIN = 20; // times that a server which is busy is asked

export async function facts() {
  return told(await reached("/health", {}));
}

// The answer to a photo; an Error whose message is for people if there is none.
export async function ask(file, signal) {
  for (let tries = 1; ; tries++) {
    const response = await reached("/caption", { method: "POST", body: file, signal });
    if (response.status !== 503 || tries === AGAIN) return told(response);
    await pause(1000 * Number(response.headers.get("Retry-After") || 1), signal);
  }
}

async function reached(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw failure("The server does not answer: is captioning serve still running?", true);
  }
}

async function told(response) {
  let content = {};
  try {
    content = await response.json();
  } catch {
    // not of our making: its status says all there is
  }
  const passing = response.status >= 500 || response.status === 408;
  if (!response.ok) throw failure(content.error ?? `The server answers with status ${response.status}`, passing);
  return content;
}

const failure = (message, passing) => Object.assign(new Error(message), { passing });

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
