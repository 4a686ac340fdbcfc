"""Holds answers to api/openapi.yaml: as much of OpenAPI and JSON Schema as that file uses.

Stricter than JSON Schema in one way: where a schema names properties, others are a
mistake, so that the server answers nothing that is not documented.
"""

import re
import urllib.parse

import yaml

from support import ROOT

PATH = ROOT / "api/openapi.yaml"

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class ContractBroken(AssertionError):
    """The server and the contract differ."""


class Contract:
    def __init__(self):
        self.text = PATH.read_text()
        self.document = yaml.safe_load(self.text)
        self.seen = set()

    def operations(self):
        """Every (method, path template)."""
        methods = {"get", "put", "post", "delete", "patch", "head", "options"}
        return {
            (method.upper(), path)
            for path, item in self.document["paths"].items()
            for method in item
            if method in methods
        }

    def resolve(self, node):
        while "$ref" in node:
            found = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            node = found
        return node

    def path_of(self, method, target):
        """The template of a target, and the names in its query."""
        path, _, query = target.partition("?")
        if path in self.document["paths"]:
            return path, query
        for template, item in sorted(self.document["paths"].items(), key=lambda entry: -len(entry[0])):
            # A key may hold slashes, and end as the path of another operation does.
            pattern = re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(template))
            if "{" in template and method.lower() in item and re.fullmatch(pattern, path):
                return template, query
        raise ContractBroken(f"{method} {path} is not in the contract")

    def check(self, method, target, answer):
        """Raises ContractBroken where `answer` is not one that the contract knows."""
        template, query = self.path_of(method, target)
        item = self.document["paths"][template]
        operation = item.get(method.lower())
        if operation is None:
            raise ContractBroken(f"{method} {template} is not in the contract")
        self.check_query(item, operation, query)
        responses = operation["responses"]
        response = responses.get(str(answer.status), responses.get("default"))
        if response is None:
            raise ContractBroken(f"{method} {target}: {answer.status} is not in the contract")
        place = f"{method} {target} -> {answer.status}"
        self.check_response(self.resolve(response), answer, place)
        self.seen.add((method, template))

    def check_query(self, item, operation, query):
        parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
        known = {p["name"] for p in map(self.resolve, parameters) if p["in"] == "query"}
        for name, _ in urllib.parse.parse_qsl(query, keep_blank_values=True):
            if name not in known:
                raise ContractBroken(f"?{name}= is not in the contract")

    def check_response(self, response, answer, place):
        for name in response.get("headers", {}):
            if name.lower() not in answer.headers:
                raise ContractBroken(f"{place}: the header {name} is missing")
        content = response.get("content")
        if content is None:
            if answer.data:
                raise ContractBroken(f"{place}: has a body, {answer.data[:100]!r}")
            return
        media = answer.type.split(";")[0]
        if media not in content:
            raise ContractBroken(f"{place}: is {media!r}, not one of {list(content)}")
        if media.endswith("json"):
            self.check_value(content[media]["schema"], answer.json(), place)

    def check_value(self, schema, value, place):
        schema = self.resolve(schema)
        for part in schema.get("allOf", []):
            self.check_value({**self.resolve(part), "open": True}, value, place)
        if "oneOf" in schema:
            fitting = [s for s in schema["oneOf"] if self.fits(s, value, place)]
            if len(fitting) != 1:
                raise ContractBroken(f"{place}: fits {len(fitting)} of the forms allowed")
        self.check_plain(schema, value, place)
        if isinstance(value, dict):
            self.check_object(schema, value, place)
        if isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                self.check_value(schema["items"], item, f"{place}[{i}]")

    def fits(self, schema, value, place):
        try:
            self.check_value(schema, value, place)
        except ContractBroken:
            return False
        return True

    def check_plain(self, schema, value, place):
        types = schema.get("type", [])
        types = types if isinstance(types, list) else [types]
        if types and not any(is_type(value, name) for name in types):
            raise ContractBroken(f"{place}: {value!r:.100} is not of type {types}")
        if "enum" in schema and value not in schema["enum"]:
            raise ContractBroken(f"{place}: {value!r:.100} is none of {schema['enum']}")
        if "const" in schema and value != schema["const"]:
            raise ContractBroken(f"{place}: {value!r:.100} is not {schema['const']!r}")
        if "minimum" in schema and value < schema["minimum"]:
            raise ContractBroken(f"{place}: {value} is below {schema['minimum']}")

    def check_object(self, schema, value, place):
        for name in schema.get("required", []):
            if name not in value:
                raise ContractBroken(f"{place}: '{name}' is missing")
        properties = schema.get("properties", {})
        for name, item in value.items():
            if name in properties:
                self.check_value(properties[name], item, f"{place}.{name}")
            elif properties and not schema.get("open"):
                raise ContractBroken(f"{place}: '{name}' is not in the contract")


def is_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])
