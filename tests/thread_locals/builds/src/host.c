/* Loads a library with green threads in it, and closes it, more than once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
  for (int round = 0; round < 2; round++) {
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_DEEPBIND);
    if (!library) {
      puts(dlerror());
      return 1;
    }
    unsigned (*find_values)(void) = (unsigned (*)(void))dlsym(library, "find_values");
    unsigned found = find_values();
    dlclose(library);
    /* The hubs give back the memory of stacks that nobody takes. */
    sleep(2);
    if (found != 1000 || setuid(getuid())) {
      printf("%u of 1000\n", found);
      return 1;
    }
  }
  puts("each has its own values");
  return 0;
}
