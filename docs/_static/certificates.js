// The certificates of claims, checked in the browser.
"use strict";
{
// Runs beside theory/checker.py.
const CHECK = `
import json
from pathlib import Path
import checker
import session

def check(text, renew):
    if renew:
        content = json.loads(text)
        content.pop("sha256", None)
        content["sha256"] = checker.digest(content)
        text = checker.canonical(content)
    Path("claim.json").write_bytes(text.encode())
    try:
        return json.dumps({"text": text, "proven": checker.check_file("claim.json")})
    except Exception as error:
        return json.dumps({"text": text, "rejected": f"{error} ({type(error).__name__})"})

session.check = check
`;

const root = document.querySelector(".live-page");
const button = (textContent, action) => {
  const made = element("button", {type: "button", textContent});
  made.addEventListener("click", action);
  return made;
};
const menu = element("select", {}), status = element("span", {}), text = element("div", {className: "live-output"});
const area = element("textarea", {spellcheck: false, className: "certificate"});
menu.setAttribute("aria-label", "Claim");
area.setAttribute("aria-label", "Certificate");
status.setAttribute("role", "status");
const renew = button("Renew the checksum", () => check(true));
const examples = button("Run the examples", () => busy ? session.restart() : runExamples());
const actions = [button("Check", () => check(false)), renew, button("Reset", choose), examples];
root.append(element("div", {}, element("div", {className: "live-bar"}, menu, ...actions), area),
  element("div", {}, element("div", {className: "live-bar"}, status), text));
menu.addEventListener("change", choose);
let claims, busy = false;

const failed = (error) => text.replaceChildren(element("pre", {className: "live-error", textContent: error.message}));
for (const each of actions) each.disabled = true;

async function fetched(name) {
  const file = await fetch(LIVE + name).catch(() => {});
  if (!file?.ok) throw new Error(`${name} could not be loaded. Check the network, and reload the page.`);
  return file.text();
}

Promise.all([fetched("claims.json"), fetched("checker.py")]).then(([list, checker]) => {
  claims = JSON.parse(list);
  session.setup = `open("checker.py", "w").write(${JSON.stringify(checker)})\n${CHECK}`;
  menu.append(...claims.map(([number, title]) => element("option", {value: number, textContent: `${number} ${title}`})));
  menu.value = "4-1";
  choose();
}).catch(failed);

async function choose() {
  const [number, , certified] = claims.find(([name]) => name == menu.value);
  for (const each of actions) each.disabled = each != examples && !certified;
  text.replaceChildren();
  status.textContent = "";
  try {
    const certificate = certified ? await fetched(`${number.replace(" ", "-")}.json`) : "This claim has no certificate.";
    if (menu.value == number) area.value = certificate;
  } catch (error) { failed(error); }
}

// Run an action unless another one runs; show its progress and errors.
async function act(action) {
  if (busy) return;
  busy = true;
  examples.textContent = "Stop";
  session.show = (progress) => { status.textContent = progress; };
  try { await action(); } catch (error) { failed(error); }
  busy = false;
  examples.textContent = "Run the examples";
}

function check(renewed) {
  return act(async () => {
    const begin = performance.now(), number = menu.value;
    const {text: checked, proven, rejected} = await session.call("session", "check", [area.value, renewed]);
    if (menu.value != number) return;
    area.value = checked;
    status.textContent = `${proven ? "Accepted" : "Rejected"} in ${Math.round(performance.now() - begin)} ms`;
    const lines = (proven ?? [rejected]).map((line) => element("pre", {textContent: line}));
    text.replaceChildren(element("p", {}, element("strong", {textContent: proven ? "Accepted: each of these is proven." : "Rejected:"})), ...lines);
  });
}

function runExamples() {
  return act(async () => {
    const output = element("pre", {});
    text.replaceChildren(output);
    status.textContent = "Running the examples";
    const program = `
from theory.registry import CLAIMS
for result in CLAIMS[${JSON.stringify(menu.value)}].check().results:
    print(f"{result.words}: {result.proposition.statement}")
    if not result.survived:
        print(f"  the smallest counterexample is {result.shown}: {result.message}")
    print()`;
    const {error} = await session.call("session", "run_cell", [program, "examples"], {imports: program, print(piece) { output.append(piece); }});
    if (error) output.append(error.message);
    status.textContent = "";
  });
}
}
