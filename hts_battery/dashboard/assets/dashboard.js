/* Theme, titles and focus, the table's links: what a page needs in the browser. */
"use strict";

(function () {
  const root = document.documentElement;
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");

  function theme() {
    return localStorage.getItem("theme") || (wanted.matches ? "dark" : "light");
  }

  function paint() {
    root.dataset.theme = theme();
    root.dataset.agThemeMode = theme();
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-pressed", String(theme() === "dark"));
      button.textContent = theme() === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", "Dark colours");
    }
  }

  wanted.addEventListener("change", paint);
  document.addEventListener("click", function (event) {
    if (event.target.id === "theme") {
      localStorage.setItem("theme", theme() === "dark" ? "light" : "dark");
      paint();
    }
  });

  /* A new page: its heading names the window and takes the focus, and the
     navigation says where one is. */
  let shown = null;
  let first = true;

  function arrived() {
    const heading = document.querySelector("#page h1");
    if (!heading || heading === shown) {
      return;
    }
    shown = heading;
    paint();
    document.title = heading.textContent + " · hts_battery";
    document.querySelectorAll("nav a").forEach(function (link) {
      const here = link.pathname === window.location.pathname;
      if (here) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else {
        link.removeAttribute("aria-current");
      }
    });
    if (!first) {
      heading.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    first = false;
  }

  /* Back to the table from a page that was opened without the grid. */
  window.addEventListener("popstate", function () {
    if (window.location.pathname === "/candidates" && !window.dash_ag_grid) {
      window.location.reload();
    }
  });

  new MutationObserver(arrived).observe(root, { childList: true, subtree: true });
  paint();

  window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
  window.dashAgGridComponentFunctions.CandidateLink = function (props) {
    if (!props.data) {
      return null;
    }
    return React.createElement(
      "a",
      { href: "/candidate/" + encodeURIComponent(props.data.candidate_id) +
          "/" + encodeURIComponent(props.data.campaign) },
      props.value
    );
  };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.dashboard = {
    askAgain: function () {
      try {
        dash_ag_grid.getApi("table").purgeInfiniteCache();
      } catch (error) {
        /* The table is not there yet, and will ask by itself. */
      }
      return window.dash_clientside.no_update;
    },
  };
})();
