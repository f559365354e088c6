// SPDX-License-Identifier: MIT
// A program with much of the C++ library, for the compiler to work on, and to run: its output is the
// same in each run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <iostream>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{

class Dice
{
  public:
    explicit Dice(std::uint32_t seed) : seed_(seed)
    {
    }
    std::uint32_t operator()(std::uint32_t sides)
    {
        seed_ = seed_ * 1103515245U + 12345U;
        return (seed_ >> 8U) % sides;
    }

  private:
    std::uint32_t seed_;
};

std::uint64_t hash_of(const std::string& text)
{
    return std::accumulate(text.begin(), text.end(), std::uint64_t{14695981039346656037U},
                           [](std::uint64_t hash, char sign) {
                               return (hash ^ static_cast<unsigned char>(sign)) * 1099511628211U;
                           });
}

void tell(const std::string& what, const std::string& text)
{
    std::cout << what << ' ' << text.size() << ' ' << std::hex << hash_of(text) << std::dec << '\n';
}

struct alignas(64) Wide {
    std::uint64_t value;
};

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

struct Square : Shape {
    explicit Square(double side) : side_(side)
    {
    }
    double area() const override
    {
        return side_ * side_;
    }
    double side_;
};

struct Circle : Shape {
    explicit Circle(double radius) : radius_(radius)
    {
    }
    double area() const override
    {
        return 3 * radius_ * radius_;
    }
    double radius_;
};

std::vector<std::string> words(std::uint32_t seed, std::size_t count)
{
    Dice dice(seed);
    std::vector<std::string> made;
    for (std::size_t i = 0; i < count; i++) {
        std::string word;
        for (std::uint32_t length = 1 + dice(30); length != 0; length--) {
            word += static_cast<char>('a' + dice(26));
        }
        made.push_back(word);
    }
    return made;
}

template <typename Map> std::string counted(const std::vector<std::string>& all)
{
    Map count;
    for (const auto& word : all) {
        count[word.substr(0, 3)]++;
    }
    std::map<std::string, int> sorted(count.begin(), count.end());
    std::ostringstream text;
    for (const auto& entry : sorted) {
        text << entry.first << '=' << entry.second << ';';
    }
    return text.str();
}

template <typename Sequence> std::string shuffled(std::uint32_t seed)
{
    Dice dice(seed);
    Sequence numbers;
    for (int i = 0; i < 30000; i++) {
        if (dice(3) != 0 || numbers.empty()) {
            numbers.push_back(i);
        } else {
            numbers.pop_front();
        }
    }
    std::ostringstream text;
    std::copy(numbers.begin(), numbers.end(), std::ostream_iterator<int>(text, " "));
    return text.str();
}

std::string thrown(int depth)
{
    try {
        const std::unique_ptr<Shape> held(new Square(depth));
        if (depth == 0) {
            throw std::runtime_error("from below " + std::string(100, 'x'));
        }
        return thrown(depth - 1);
    } catch (const std::runtime_error& error) {
        if (depth < 5) {
            throw std::runtime_error(error.what() + std::to_string(depth));
        }
        return error.what();
    }
}

std::string shapes()
{
    Dice dice(5);
    std::vector<std::shared_ptr<Shape>> all;
    for (int i = 0; i < 20000; i++) {
        const double size = dice(100);
        all.push_back(dice(2) == 0 ? std::shared_ptr<Shape>(std::make_shared<Square>(size))
                                   : std::shared_ptr<Shape>(std::make_shared<Circle>(size)));
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const std::shared_ptr<Shape>& left, const std::shared_ptr<Shape>& right) {
                         return left->area() < right->area();
                     });
    std::ostringstream text;
    for (const auto& shape : all) {
        text << shape->area() << ' ';
    }
    return text.str();
}

std::string in_threads()
{
    std::vector<std::string> result(4);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 4; i++) {
        threads.emplace_back([i, &result] {
            for (std::uint32_t round = 0; round < 10; round++) {
                result[i] += counted<std::unordered_map<std::string, int>>(words(i + round, 2000));
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    return std::accumulate(result.begin(), result.end(), std::string());
}

std::string aligned()
{
    std::vector<std::unique_ptr<Wide>> all;
    for (std::uint64_t i = 0; i < 1000; i++) {
        all.push_back(std::unique_ptr<Wide>(new Wide{i}));
    }
    const bool is_aligned = std::all_of(all.begin(), all.end(), [](const auto& wide) {
        return reinterpret_cast<std::uintptr_t>(wide.get()) % alignof(Wide) == 0;
    });
    return is_aligned ? "yes" : "no";
}

} // namespace

int main()
{
    const auto all = words(1, 40000);
    const std::string text = std::accumulate(
        all.begin(), all.begin() + 3000, std::string(),
        [](std::string so_far, const std::string& word) { return std::move(so_far) + word + ' '; });
    tell("map", counted<std::map<std::string, int>>(all));
    tell("unordered map", counted<std::unordered_map<std::string, int>>(all));
    tell("set", std::to_string(std::set<std::string>(all.begin(), all.end()).size()));
    tell("list", shuffled<std::list<int>>(2));
    tell("deque", shuffled<std::deque<int>>(3));
    tell("regex", std::regex_replace(text, std::regex("([aeiou])([^aeiou ]+)"), "$2-$1"));
    tell("shapes", shapes());
    tell("exceptions", thrown(20));
    tell("threads", in_threads());
    tell("aligned", aligned());
    return 0;
}
