document.addEventListener("DOMContentLoaded", function () {
  if (window.daleMathDone) { return; }
  window.daleMathDone = true;
  document.querySelectorAll("code.language-math, pre.language-math").forEach(function (block) {
    var place = document.createElement("div");
    place.className = "dale-math";
    temml.render(block.textContent, place, { displayMode: true });
    (block.closest(".example-wrap") || block.closest("pre") || block).replaceWith(place);
  });
  document.querySelectorAll(".docblock code").forEach(function (code) {
    var found = /^\$([^$]+)\$$/.exec(code.textContent);
    if (!found) { return; }
    var place = document.createElement("span");
    temml.render(found[1], place);
    code.replaceWith(place);
  });
});
