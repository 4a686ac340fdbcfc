// The parameters of CONFIG GET and CONFIG SET.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace kvstore::resp {

// Names and values as Redis spells them. Most are only remembered: tools ask for them.
class Configuration {
public:
    Configuration();

    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const {
        return values_;
    }
    [[nodiscard]] bool contains(std::string_view name) const { return values_.contains(name); }
    [[nodiscard]] std::string_view value(std::string_view name) const;
    // Requires: contains(name).
    void set(std::string_view name, std::string_view value);

private:
    std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace kvstore::resp
