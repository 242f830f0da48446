def esm() -> str:
    return "export default {render({model, el}) { el.textContent = 'live'; }}"


def css() -> str:
    return ""
