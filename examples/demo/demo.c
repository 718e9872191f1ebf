/* The guest of `make demo`: ordinary C with printf, run on the bare machine by picolibc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    const char *word;
    int count;
    struct node *left, *right;
};

static const char text[] = "the quick fox and the lazy dog and the sleepy cat";
int words_seen;
struct node *tree;

/* Count a word: walks down the tree by calling itself. */
struct node *insert(struct node *node, const char *word, int depth)
{
    if (!node) {
        node = calloc(1, sizeof *node);
        if (!node)
            exit(1);
        node->word = word;
    }
    int order = strcmp(word, node->word);
    if (order < 0)
        node->left = insert(node->left, word, depth + 1);
    else if (order > 0)
        node->right = insert(node->right, word, depth + 1);
    else
        node->count++;
    return node;
}

static int print_tree(const struct node *node)
{
    if (!node)
        return 0;
    int distinct = print_tree(node->left);
    printf("  %-8s%d\n", node->word, node->count);
    return distinct + 1 + print_tree(node->right);
}

/* Steps of a 32-bit Galois shift register: work enough to be compiled while it runs. */
unsigned random_after(unsigned rounds)
{
    unsigned state = 1;
    for (unsigned round = 0; round < rounds; round++)
        state = state >> 1 ^ (-(state & 1) & 0xd0000001);
    return state;
}

int main(void)
{
    char copy[sizeof text];
    memcpy(copy, text, sizeof text);
    printf("hello from a RISC-V with %d-bit registers\n", (int)(8 * sizeof(long)));
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        tree = insert(tree, word, 0);
        words_seen++;
    }
    int distinct = print_tree(tree);
    printf("%d words, %d distinct\n", words_seen, distinct);
    printf("random: %08x\n", random_after(400000));
    return 42;
}
