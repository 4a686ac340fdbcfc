// The parameters of CONFIG GET and CONFIG SET.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace kvstore::resp {

// Names and values as Redis spells them. Most are only remembered, since tools ask for them: they
// have no effect here.
class Configuration {
public:
    Configuration();

    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const {
        return values_;
    }
    // Requires: there is such a parameter.
    [[nodiscard]] std::string_view value(std::string_view name) const;

    // Whether `value` may be given to the parameter: empty, or why not.
    [[nodiscard]] static std::string_view refusal(std::string_view name, std::string_view value);
    [[nodiscard]] static bool is_known(std::string_view name);
    // Requires: refusal() is empty.
    void set(std::string_view name, std::string_view value);

private:
    std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace kvstore::resp
