import sys

from nodeeni.agent.app import main

sys.exit(main(sys.argv[1:]))
