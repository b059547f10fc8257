from service.security import DOCS_POLICY, PAGE_POLICY


def test_the_page_may_run_its_own_files_only() -> None:
    rules = dict(rule.split(" ", 1) for rule in PAGE_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in PAGE_POLICY


def test_the_docs_may_style_but_not_script_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in DOCS_POLICY.split("; "))
    assert rules["script-src"] == "'self'"
    assert "'unsafe-inline'" in rules["style-src"]
