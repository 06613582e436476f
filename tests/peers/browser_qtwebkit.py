#
# browser_qtwebkit.py - QtWebKit, the engine of a generation of older browsers, told what to do on stdin.
#
# A line in is ["url", ADDRESS], ["script", BODY] or ["shot", ""], whose value is a PNG in base64; a line
# out is {"value": …} or {"error": …}.  The page lives between the lines: what comes is looked for by Qt's
# own loop.
#
import json, os, socket, sys

os.environ['QT_QPA_PLATFORM'] = 'offscreen'
try:
    from PyQt5.QtCore import QBuffer, QUrl, QSocketNotifier
    from PyQt5.QtWidgets import QApplication
    from PyQt5.QtWebKitWidgets import QWebView
    from PyQt5.QtNetwork import QNetworkProxyFactory
except ImportError as e:
    print(json.dumps({'error': str(e)}), flush=True)
    sys.exit(0)

app = QApplication(['qtwebkit'])
QNetworkProxyFactory.setUseSystemConfiguration(False)
view = QWebView()
view.resize(1100, 1000)
view.show()
loading = False


def say(answer):
    sys.stdout.write(json.dumps(answer) + '\n')
    sys.stdout.flush()


def on_loaded(ok):
    global loading
    if loading:
        loading = False
        say({'value': ok})


def obey(what, text):
    global loading
    if what == 'url':
        loading = True
        view.load(QUrl(text))
    elif what == 'shot':
        png = QBuffer()
        view.grab().save(png, 'PNG')
        say({'value': bytes(png.data().toBase64()).decode()})
    else:
        say({'value': view.page().mainFrame().evaluateJavaScript('(function () {' + text + '}())')})


def on_line():
    line = sys.stdin.readline()
    if not line:
        app.quit()
    else:
        obey(*json.loads(line))


view.loadFinished.connect(on_loaded)
notifier = QSocketNotifier(0, QSocketNotifier.Read)
notifier.activated.connect(on_line)
say({'value': 'ready'})
app.exec_()
