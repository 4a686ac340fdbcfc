"""The house rules, each on a line that breaks it and on one that only looks so."""

import unittest

import support  # noqa: F401
import check_source


class CheckSource(unittest.TestCase):
    def messages(self, rule, text, path="src/kv/x.cc"):
        return [message for _, message in rule(path, text)]

    def test_refuses_two_awaits_in_one_statement(self):
        self.assertTrue(self.messages(check_source.rule_await, "f(co_await a(), co_await b());"))
        self.assertFalse(self.messages(check_source.rule_await, "x = co_await a();\ny = co_await b();"))

    def test_refuses_a_lambda_in_an_await(self):
        self.assertTrue(self.messages(check_source.rule_await, "co_await run([&] { return 1; });"))

    def test_refuses_a_braced_initializer_in_an_await(self):
        self.assertTrue(self.messages(check_source.rule_await, "co_await open(p, Options{.a = 1});"))
        self.assertFalse(self.messages(check_source.rule_await, "co_await open(p, options);"))

    def test_names_what_to_use_instead(self):
        found = self.messages(check_source.rule_banned, "std::mutex m;")
        self.assertIn("one core per object", found[0])
        self.assertTrue(self.messages(check_source.rule_banned, "std::set<Connection*> open_;"))
        self.assertFalse(self.messages(check_source.rule_banned, "std::map<int, Connection*> open_;"))
        self.assertFalse(self.messages(check_source.rule_banned, "std::mutex m;", "src/posix/x.cc"))

    def test_does_not_read_comments_and_literals(self):
        for text in ("// std::mutex", '"std::mutex"', 'R"(std::mutex)"', "'\"' + x; // std::mutex"):
            self.assertFalse(self.messages(check_source.rule_banned, text), text)

    def test_sees_code_behind_a_quote_character(self):
        self.assertTrue(self.messages(check_source.rule_banned, "c == '\"' || std::mutex('\"')"))

    def test_asks_for_the_issue_of_a_todo(self):
        self.assertTrue(self.messages(check_source.rule_leftovers, "// TODO: later"))
        self.assertFalse(self.messages(check_source.rule_leftovers, "// TODO(#12): split, needs raft"))

    def test_tells_code_in_a_comment_from_an_example(self):
        self.assertTrue(self.messages(check_source.rule_leftovers, "// run(a, b);\n"))
        self.assertFalse(self.messages(check_source.rule_leftovers, "//     run(a, b);\n"))

    def test_wants_one_title_a_document(self):
        self.assertFalse(self.messages(check_source.rule_text, "# One\n```\n# code\n```\n", "a.md"))
        self.assertTrue(self.messages(check_source.rule_text, "# One\n# Two\n", "a.md"))

    def test_bounds_the_length_of_files(self):
        self.assertTrue(self.messages(check_source.rule_length, "\n" * 401, "src/kv/x.h"))
        self.assertFalse(self.messages(check_source.rule_length, "\n" * 1200, "src/kv/x_test.cc"))

    def test_wants_pragma_once(self):
        self.assertTrue(self.messages(check_source.rule_header, "#ifndef X\n", "src/kv/x.h"))
        self.assertFalse(self.messages(check_source.rule_header, "#pragma once\n", "src/kv/x.h"))


if __name__ == "__main__":
    unittest.main()
