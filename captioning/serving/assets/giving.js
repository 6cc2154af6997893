// The ways to give a photo: dropped, pasted, chosen, or taken by a camera.

export function givenPhotos(take, refuse) {
  const at = (id) => document.getElementById(id);
  for (const [button, input] of [["choose", "file"], ["take", "camera"]]) {
    at(button).addEventListener("click", (event) => {
      event.stopPropagation(); // the whole field does the same
      at(input).click();
    });
    at(input).addEventListener("change", () => {
      const file = at(input).files[0];
      at(input).value = ""; // so that the same photo can be chosen again
      if (file) take(file);
    });
  }
  at("choice").addEventListener("click", () => at("file").click());

  const first = (data) => [...(data?.files ?? [])][0];
  document.addEventListener("paste", (event) => {
    const file = first(event.clipboardData);
    if (file) take(file);
    else refuse("What was pasted is no photo: copy the picture itself, or its file");
  });
  const over = (on) => document.body.classList.toggle("over", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    over(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser would leave the page for the photo
    over(false);
    const file = first(event.dataTransfer);
    if (file) take(file);
    else refuse("What was dropped is no file: save the picture first, and drop that");
  });
}
