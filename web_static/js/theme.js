// Sets the stored theme before the first paint; a classic script, so that nothing is drawn before it ran.
(function () {
  var theme = 'system';
  try { theme = localStorage.getItem('gqm-theme') || theme; } catch (e) { theme = 'system'; }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
