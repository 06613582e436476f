/*
 * browser_khtml.cpp - KHTML, the engine that all WebKits come from, told what to do on stdin: the
 * lines of browser_qtwebkit.py.
 */
#include <KHTMLPart>
#include <KHTMLView>
#include <QApplication>
#include <QBuffer>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QPixmap>
#include <QSocketNotifier>
#include <cstdio>
#include <iostream>
#include <string>

static void say(const QJsonValue &value)
{
    std::puts(QJsonDocument(QJsonObject{ { "value", value } }).toJson(QJsonDocument::Compact));
    std::fflush(stdout);
}

static QString screenshot(KHTMLPart &part)
{
    QByteArray png;
    QBuffer buffer(&png);
    buffer.open(QIODevice::WriteOnly);
    part.view()->grab().save(&buffer, "PNG");
    return QString::fromLatin1(png.toBase64());
}

int main(int argc, char **argv)
{
    qputenv("QT_QPA_PLATFORM", "offscreen");
    QApplication app(argc, argv);
    app.setQuitLockEnabled(false); /* or the end of its last request would be ours */
    KHTMLPart part;
    bool loading = false;

    part.setJScriptEnabled(true);
    part.view()->resize(1100, 1000);
    part.view()->show();
    QObject::connect(&part, QOverload<>::of(&KHTMLPart::completed), [&] {
        if (loading)
            say(true);
        loading = false;
    });
    QSocketNotifier notifier(0, QSocketNotifier::Read);
    QObject::connect(&notifier, &QSocketNotifier::activated, [&] {
        std::string line;
        if (!std::getline(std::cin, line))
            return app.quit();
        QJsonArray said = QJsonDocument::fromJson(QByteArray::fromStdString(line)).array();
        QString what = said.at(0).toString(), text = said.at(1).toString();
        if (what == "url") {
            loading = true;
            part.openUrl(QUrl(text));
        } else if (what == "shot") {
            say(screenshot(part));
        } else {
            QString script = "(function () {" + text + "}())";
            say(QJsonValue::fromVariant(part.executeScript(script)));
        }
    });
    say("ready");
    return app.exec();
}
