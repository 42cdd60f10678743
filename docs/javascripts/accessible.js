// Names and keyboard access that the theme leaves out, found by axe.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((nav, i) => nav.setAttribute("aria-label", `Code ${i + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap, .jp-OutputArea-output pre, .highlight pre, .highlight-ipynb").forEach((scrolls) => {
    scrolls.tabIndex = 0;
  });
});
