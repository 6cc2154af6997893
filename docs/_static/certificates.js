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
const examples = button("Run the examples", runExamples), renew = button("Renew the checksum", () => check(true));
const actions = [button("Check", () => check(false)), renew, button("Reset", choose), examples];
root.append(element("div", {}, element("div", {className: "live-bar"}, menu, ...actions), area),
  element("div", {}, element("div", {className: "live-bar"}, status), text));
menu.addEventListener("change", choose);
let claims, busy = false;

Promise.all([fetch(LIVE + "claims.json").then((file) => file.json()), fetch(LIVE + "checker.py").then((file) => file.text())]).then(([list, checker]) => {
  claims = list;
  session.setup = `open("checker.py", "w").write(${JSON.stringify(checker)})\n${CHECK}`;
  menu.append(...list.map(([number, title]) => element("option", {value: number, textContent: `${number} ${title}`})));
  menu.value = "4-1";
  choose();
});

async function choose() {
  const [number, , certified] = claims.find(([name]) => name == menu.value);
  for (const each of actions.slice(0, 3)) each.disabled = !certified;
  area.value = certified ? await (await fetch(`${LIVE}${number.replace(" ", "-")}.json`)).text() : "This claim has no certificate.";
  text.replaceChildren();
  status.textContent = "";
}

// Run an action unless another one runs; show its progress and errors.
async function act(action) {
  if (busy) return;
  busy = true;
  session.show = (progress) => { status.textContent = progress; };
  try { await action(); } catch (error) { text.replaceChildren(element("pre", {className: "live-error", textContent: error.message})); }
  busy = false;
}

function check(renewed) {
  return act(async () => {
    const begin = performance.now();
    const {text: checked, proven, rejected} = await session.call("session", "check", [area.value, renewed]);
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
