// The certificates of claims, checked in the browser.
"use strict";
{
// The worker has theory/checker.py as checker.py.
const CHECK = `
import json
from pathlib import Path
import checker

def check(text, with_new_checksum):
    try:
        if with_new_checksum:
            content = json.loads(text)
            content.pop("sha256", None)
            content["sha256"] = checker.digest(content)
            text = checker.canonical(content)
        Path("claim.json").write_bytes(text.encode())
        return {"text": text, "proven": checker.check_file("claim.json")}
    except Exception as error:
        return {"text": text, "rejected": f"{error} ({type(error).__name__})"}
`;

const root = document.querySelector(".live-page");
const menu = element("select", {}), status = new Status(), text = element("div", {className: "live-output"});
const area = element("textarea", {spellcheck: false, className: "certificate"});
menu.setAttribute("aria-label", "Claim");
area.setAttribute("aria-label", "Certificate");
const examples = button("Run the examples", () => actions.toggle(runExamples));
const ofCertificate = [button("Check", () => check(false)), button("Renew the checksum", () => check(true)), button("Reset", choose)];
root.append(element("div", {}, element("div", {className: "live-bar"}, menu, ...ofCertificate, examples), area),
  element("div", {}, element("div", {className: "live-bar"}, status.line), text));
const actions = new Actions(examples, status, text);
menu.addEventListener("change", choose);
let claims;

const failed = (error) => text.replaceChildren(errorElement(error.message));
const disable = (on) => { for (const each of ofCertificate) each.disabled = on; };
disable(examples.disabled = true);

async function fetched(name) {
  checkBrowser();
  const file = await fetch(LIVE + name).catch(() => {});
  if (!file?.ok) throw new Error(`${name} could not be loaded. Check the network, and reload the page.`);
  return file.text();
}

Promise.all([fetched("claims.json"), fetched("checker.py")]).then(([list, checker]) => {
  claims = JSON.parse(list);
  session.setup = `open("checker.py", "w").write(${JSON.stringify(checker)})\n${CHECK}`;
  menu.append(...claims.map(([number, title, , refuted]) => element("option", {value: number, textContent: `${number} ${title}${refuted ? " (refuted)" : ""}`})));
  menu.value = "4-1";
  examples.disabled = false;
  choose();
}).catch(failed);

async function choose() {
  const [number, , certified] = claims.find(([name]) => name == menu.value);
  area.value = certified ? "" : "This claim has no certificate.";
  disable(true);
  text.replaceChildren();
  status.show("");
  try {
    const certificate = certified && await fetched(`${number.replace(" ", "-")}.json`);
    if (menu.value != number || !certified) return;
    area.value = certificate;
    disable(false);
  } catch (error) { failed(error); }
}

function check(withNewChecksum) {
  return actions.run(async () => {
    const number = menu.value;
    const {text: checked, proven, rejected} = await session.call("check", [area.value, withNewChecksum]);
    if (menu.value != number) return;
    if (withNewChecksum) area.value = checked;
    const lines = (proven ?? [rejected]).map((line) => element("pre", {textContent: line}));
    text.replaceChildren(element("p", {}, element("strong", {textContent: proven ? "Accepted: the numbers prove these sentences." : "Rejected:"})), ...lines);
    text.scrollIntoView({block: "nearest"});
  });
}

async function runExamples() {
  const output = element("pre", {});
  text.replaceChildren(output);
  const program = `
from theory.registry import CLAIMS
for result in CLAIMS[${JSON.stringify(menu.value)}].check().results:
    print(f"{result.words}: {result.proposition.statement}")
    if not result.survived:
        print(f"  the smallest counterexample is {result.shown}: {result.message}")
    print()`;
  const {error} = await session.call("run_cell", [program, "examples"], {imports: program, print(piece) { output.append(piece); }});
  if (error) output.append(error.message);
}
}
