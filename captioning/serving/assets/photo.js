// The photo, the square that the captioner sees, and its attention.

const at = (id) => document.getElementById(id);
let address = null;

export function showPhoto(file) {
  if (address !== null) URL.revokeObjectURL(address);
  address = file === null ? null : URL.createObjectURL(file);
  at("photo").className = file === null ? "unshown" : "";
  at("unshown").hidden = true;
  at("picture").removeAttribute("src");
  if (address !== null) at("picture").src = address;
}

at("picture").addEventListener("error", () => {
  if (address === null) return;
  at("photo").classList.add("unshown");
  at("unshown").hidden = false;
});

// The captioner sees the largest square in the middle.
at("picture").addEventListener("load", () => {
  const { naturalWidth: width, naturalHeight: height } = at("picture");
  const side = Math.min(width, height);
  at("photo").classList.toggle("cropped", Math.max(width, height) > 1.02 * side);
  at("frame").style.setProperty("--aspect", width / height);
  const sizes = { width: side / width, height: side / height, left: (1 - side / width) / 2, top: (1 - side / height) / 2 };
  for (const [name, share] of Object.entries(sizes)) at("square").style.setProperty(`--${name}`, `${100 * share}%`);
});

const DARKEST = 0.6; // the opacity of the veil on a place without attention, as in page.css

// Darken each place, the less attention it got the more, and frame the place `most`; null shows the plain photo. The
// square root brightens places with some attention, which are many.
export function showLook(look, grid, most) {
  at("photo").classList.toggle("looking", look !== null);
  if (look === null) return;
  const places = at("places");
  const [rows, columns] = grid;
  if (places.childElementCount !== rows * columns) {
    places.replaceChildren(...Array.from({ length: rows * columns }, () => document.createElement("div")));
  }
  places.style.gridTemplate = `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)`;
  look.forEach((share, i) => {
    places.children[i].style.opacity = DARKEST * (1 - Math.sqrt(look[most] > 0 ? share / look[most] : 0));
    places.children[i].classList.toggle("most", i === most);
  });
}
